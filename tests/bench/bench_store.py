"""The store with a million sent messages: what a report costs there, beside a small store and beside bare SQLite."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench.figures import Figure, at_least_times, at_most, at_most_times
from servers.letters import thunderbird_receipt

from mdnwatch.model.event import Event
from mdnwatch.model.received import Checkpoint, Mark, Place, RawMessage, Role
from mdnwatch.model.sent import Requested, SentMessage
from mdnwatch.model.stored import to_ms
from mdnwatch.pipeline import Item, ReadReport, read_item, record
from mdnwatch.store import outbox_queries, sent_queries
from mdnwatch.store.mark_queries import save_checkpoint
from mdnwatch.store.migrate import migrate
from mdnwatch.store.sqlite import CACHE_KIB, DATABASE_NAME, Store
from mdnwatch.unit import Rules, Unit

SMALL, LARGE = 10_000, 1_000_000
RECIPIENTS = 3

REPORTS = 1_000  # of a batch
BATCHES = 5
MATCHES = 2_000  # of a round
ROUNDS = 7

NOW = datetime.now(UTC)


def figures() -> Iterator[Figure]:
    """What it costs to match a report, to keep a batch of them, and to remember a recipient."""
    with tempfile.TemporaryDirectory(prefix="mdnwatch-bench-") as home:
        small, large = Path(home, "small"), Path(home, "large")
        for directory, count in ((small, SMALL), (large, LARGE)):
            build(directory, count)
        size = (large / DATABASE_NAME).stat().st_size
        yield at_most("a recipient without evidence, of 3 million", "bytes", size / LARGE / RECIPIENTS, 250)
        ours, floor = asyncio.run(_matches(large, small))
        what = "matching a report among 1,000,000 sent messages; floor: 10,000"
        yield at_most_times(what, "µs", ours * 1e6, floor * 1e6, 2)
        yield asyncio.run(_batches(large, Path(home)))


@dataclass(frozen=True, slots=True)
class Sent:
    """The sent messages by their number: always the same, without keeping them."""

    count: int

    def message(self, number: int) -> SentMessage:
        """Identifiers and addresses as long as real ones are, in no order."""
        chance = random.Random(number)
        return SentMessage(
            message_id=f"<{uuid.UUID(int=chance.getrandbits(128), version=4)}@mail.example>",
            from_address="offers@mail.example",
            account="sales",
            recipients=tuple(_address(chance) for _ in range(RECIPIENTS)),
            subject="Our offer for your request",
            date=NOW - timedelta(hours=1),
            requested=Requested(mdn=True),
        )

    def some(self, chance: random.Random, count: int) -> list[SentMessage]:
        """Different ones from anywhere."""
        return [self.message(number) for number in chance.sample(range(self.count), count)]


def _address(chance: random.Random) -> str:
    name = chance.choice(("anna", "john", "maria", "office", "susanne"))
    return f"{name}.{chance.getrandbits(24):x}@customer{chance.randrange(10_000)}.example"


def build(directory: Path, count: int) -> None:
    """A database with so many sent messages, as their copies would have made it."""
    directory.mkdir()
    sent = Sent(count)
    with closing(sqlite3.connect(directory / DATABASE_NAME, isolation_level=None)) as db:
        # Only here is speed worth more than safety.
        db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000")
        migrate(db, directory / DATABASE_NAME)
        for first in range(0, count, SMALL):
            db.execute("BEGIN")
            for number in range(first, first + SMALL):
                sent_queries.save_sent(db, sent.message(number))
            db.execute("COMMIT")


async def _matches(large: Path, small: Path) -> tuple[float, float]:
    """Seconds for one report in each store; in turn, so that whatever else the machine does meets both alike."""
    stores = [(Store(large), Sent(LARGE)), (Store(small), Sent(SMALL))]
    for store, _ in stores:
        await store.open()
    chance = random.Random(1)
    rounds = []
    for _ in range(ROUNDS):
        wanted = [sent.some(chance, MATCHES) for _, sent in stores]
        rounds.append(
            [await store.run(partial(_match, wanted=some)) for (store, _), some in zip(stores, wanted, strict=True)]
        )
    for store, _ in stores:
        await store.close()
    ours, floor = (statistics.median(seconds) / MATCHES for seconds in zip(*rounds, strict=True))
    return ours, floor


def _match(db: sqlite3.Connection, wanted: Sequence[SentMessage]) -> float:
    began = time.perf_counter()
    for sent in wanted:
        (found,) = sent_queries.find_by_keys(db, [f"m:{sent.message_id}"]).values()
        message = sent_queries.load_message(db, next(iter(found)))
        if sent_queries.find_recipient(db, message.id, [sent.recipients[1]]) is None:
            raise AssertionError("a recipient was not found")
    return time.perf_counter() - began


async def _batches(directory: Path, home: Path) -> Figure:
    """Reports a second, in batches: ours does the work, then bare SQLite writes the same rows into a copy."""
    copy = shutil.copytree(directory, home / "copy") / DATABASE_NAME
    store = Store(directory)
    await store.open()
    # Each is about another message. The first batch finds nothing in memory and does not count.
    about, rounds = Sent(LARGE).some(random.Random(2), (BATCHES + 1) * REPORTS), []
    with closing(sqlite3.connect(copy, isolation_level=None)) as bare:
        # As the store opens its own: on disk when it is committed, and no row that refers to none.
        bare.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            f" PRAGMA cache_size = -{CACHE_KIB}"
        )
        for number in range(BATCHES + 1):
            items = _received(number, about[number * REPORTS :][:REPORTS])
            began = time.perf_counter()
            await store.run(partial(_keep, batch=number, items=items))
            ours = time.perf_counter() - began
            reports = [item.report.id for item in items if isinstance(item, ReadReport)]
            rows = await store.read(partial(_rows_of, reports=reports))
            rounds.append((ours, _write(bare, rows)))
    await store.close()
    ours, floor = (REPORTS / statistics.median(seconds) for seconds in zip(*rounds[1:], strict=True))
    what = f"keeping {REPORTS} reports among 1,000,000 sent messages; floor: bare SQLite, same rows"
    return at_least_times(what, "reports/s", ours, floor, 0.5)


def _received(batch: int, about: Sequence[SentMessage]) -> list[Item]:
    """Receipts as they are when they were read."""
    items = []
    for number, sent in enumerate(about):
        data = thunderbird_receipt(sent.message_id, sent.recipients[1], receipt_id=f"{batch}-{number}")
        place = Place("sales", "INBOX", 7, batch * REPORTS + number + 1)
        items.append(read_item(RawMessage(place, Role.INBOX, data, len(data), NOW)))
    return [item for item in items if item is not None]


def _keep(db: sqlite3.Connection, batch: int, items: Sequence[Item]) -> None:
    """What the pipeline does with a batch, with a sink that wants everything."""
    outcomes = record(db, items, lambda: Unit(db, Rules(), NOW, _enqueue))
    save_checkpoint(db, Checkpoint("sales", "INBOX", Mark(7, (batch + 1) * REPORTS)))
    if [outcome.outcome for outcome in outcomes] != ["matched"] * REPORTS:
        raise AssertionError("a report found no message")


def _enqueue(db: sqlite3.Connection, event: Event, at: datetime) -> None:
    outbox_queries.enqueue(db, event.id, ["crm"], event.order_key, to_ms(at) or 0)


Rows = list[tuple[Any, ...]]

# Where a table's rows about a report are found.
_OF_REPORT = {"report": "id", "report_key": "report", "evidence": "report", "sighting": "report"}


def _rows_of(db: sqlite3.Connection, reports: Sequence[str]) -> dict[str, Rows]:
    """What the store holds about some reports, by table, in their order; "" are the recipients' states."""
    rows: dict[str, Rows] = {table: [] for table in (*_OF_REPORT, "event", "notification", "")}
    for report in reports:
        for table, column in _OF_REPORT.items():
            rows[table] += db.execute(f"SELECT * FROM {table} WHERE {column} = ?", (report,))
        placed = db.execute("SELECT message, recipient FROM evidence WHERE report = ?", (report,)).fetchall()
        for of in placed:
            rows["event"] += db.execute("SELECT * FROM event WHERE message = ? AND recipient = ?", of)
            columns = "state, sequence, message, mailbox, address"
            rows[""] += db.execute(f"SELECT {columns} FROM recipient WHERE message = ? AND state IS NOT NULL", of[:1])
    for event in rows["event"]:
        rows["notification"] += db.execute("SELECT * FROM notification WHERE event = ?", event[:1])
    return rows


def _write(db: sqlite3.Connection, rows: dict[str, Rows]) -> float:
    """Seconds to write the rows as fast as SQLite takes them, and to have them on disk."""
    began = time.perf_counter()
    db.execute("BEGIN IMMEDIATE")
    for table, some in rows.items():
        if table:
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(some[0]))})", some)
    where = "message = ? AND mailbox = ? AND address = ?"
    db.executemany(f"UPDATE recipient SET state = ?, sequence = ? WHERE {where}", rows[""])
    db.execute("COMMIT")
    return time.perf_counter() - began
