from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from facts import SENT_AT, head, mdn, reply, sent_message

from mdnwatch import retention
from mdnwatch.model.event import Event
from mdnwatch.model.event_type import EventType
from mdnwatch.model.evidence import extract
from mdnwatch.model.received import Place
from mdnwatch.model.report import report_id
from mdnwatch.model.sent import SentMessage
from mdnwatch.model.stored import stored
from mdnwatch.news import tell_of_report
from mdnwatch.placement import record_malformed, record_report, record_sent
from mdnwatch.store import outbox_queries, reply_queries
from mdnwatch.store.sqlite import Store
from mdnwatch.unit import Rules, Unit

NOW = SENT_AT + timedelta(days=1)


@dataclass
class Limits:
    wait_for_sent: timedelta
    max_waiting: int
    reply_wait: timedelta = timedelta(days=7)
    keep: timedelta | None = None


@dataclass
class Log:
    lines: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    def info(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - as structlog
        self.lines.put_nowait({"event": event, **fields})

    error = info


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path)
    await store.open()
    yield store
    await store.close()


async def keep_waiting(store: Store, number: int, at: datetime, *, matched: bool = False) -> None:
    message_id = f"<m{number}@mail.example>"
    report = mdn(head(f"<r{number}@x>"), original_message_id=message_id)
    identifier = report_id(report.head, report.report_part)
    kept = stored(report, identifier, "sales", at, announce=True)

    def work(db: Any) -> None:  # noqa: ANN401 - a connection
        unit = Unit(db, Rules(), at, lambda *_: None)
        if matched:
            record_sent(unit, sent_message(message_id))
        record_report(unit, kept, extract(report, identifier, at), Place("sales", "INBOX", 1, number))

    await store.run(work)


async def swept(store: Store, limits: retention.Limits, now: datetime) -> tuple[dict[str, Any], int]:
    """The line that the first sweep logs, and how many reports it left."""
    log = Log()
    task = asyncio.create_task(retention.run(store, lambda: limits, lambda: now, log))
    line = await asyncio.wait_for(log.lines.get(), 5)
    task.cancel()
    await asyncio.wait([task])
    (left,) = await store.read(lambda db: db.execute("SELECT count(*) FROM report").fetchone())
    return line, left


@pytest.mark.asyncio
async def test_reports_that_waited_too_long_are_dropped_and_matched_ones_stay(store: Store) -> None:
    now = datetime.now(SENT_AT.tzinfo)
    await keep_waiting(store, 1, now - timedelta(days=31))
    await keep_waiting(store, 2, now - timedelta(days=29))
    await keep_waiting(store, 3, now - timedelta(days=90), matched=True)
    line, left = await swept(store, Limits(timedelta(days=30), 100), now)
    assert (line, left) == ({"event": "waiting reports dropped", "reports": 1}, 2)


@pytest.mark.asyncio
async def test_of_too_many_waiting_reports_the_oldest_are_dropped(store: Store) -> None:
    now = datetime.now(SENT_AT.tzinfo)
    for number in range(10):
        await keep_waiting(store, number, now - timedelta(hours=number))
    line, left = await swept(store, Limits(timedelta(days=30), 4), now)
    assert (line["reports"], left) == (6, 4)
    oldest = await store.read(lambda db: db.execute("SELECT min(first_seen) FROM report").fetchone()[0])
    assert oldest > (now - timedelta(hours=4)).timestamp() * 1000


@pytest.mark.asyncio
async def test_replies_are_held_for_a_while_and_the_latest_of_many(store: Store) -> None:
    now = datetime.now(SENT_AT.tzinfo)
    for days in (0, 1, 2, 3, 8):
        await hold(store, days, now - timedelta(days=days))
    limits = Limits(timedelta(days=30), 3)
    task = asyncio.create_task(retention.run(store, lambda: limits, lambda: now, Log()))
    await until(lambda: held(store), [0, 1, 2])
    assert await store.read(lambda db: db.execute("SELECT count(*) FROM held_reply_key").fetchone()) == (3,)
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.asyncio
async def test_what_was_sent_too_long_ago_is_erased_once_it_is_settled_and_stays_unknown(store: Store) -> None:
    def sends(number: int, days: int) -> SentMessage:
        return sent_message(f"<m{number}@mail.example>", date=NOW - timedelta(days=days))

    def record(db: Any) -> list[Event]:  # noqa: ANN401 - a connection
        unit = Unit(db, Rules(announce_backfill=True), NOW, lambda *_: None)
        for number in range(3 * retention.ROWS_PER_UNIT):
            record_sent(unit, sends(number, 800), follow=False)
        record_sent(unit, sends(1000, 800))  # whose silence is still awaited
        record_sent(unit, sends(1001, 600), follow=False)
        return unit.events

    await store.run(record)
    await keep_waiting(store, 0, NOW - timedelta(days=1))
    line, left = await swept(store, Limits(timedelta(days=30), 100, keep=timedelta(days=730)), NOW)
    erased = {"event": "old messages erased", "messages": 3 * retention.ROWS_PER_UNIT, "other_events": 0}
    assert (line, left) == (erased, 0)
    assert await store.run(record) == []
    await keep_waiting(store, 0, NOW)
    rows = await store.read(lambda db: db.execute("SELECT message_id FROM sent_message ORDER BY id").fetchall())
    assert [message_id for (message_id,) in rows] == ["<m1000@mail.example>", "<m1001@mail.example>"]
    assert await store.read(lambda db: db.execute("SELECT count(*) FROM report").fetchone()) == (0,)


@pytest.mark.asyncio
async def test_what_was_told_of_no_message_too_long_ago_is_emptied_once_it_went_out_and_not_told_again(
    store: Store,
) -> None:
    def tell(db: Any) -> int:  # noqa: ANN401 - a connection
        unit = Unit(db, Rules(), NOW - timedelta(days=800), lambda *_: None)
        for number in range(3):
            record_malformed(unit, f"r{number}", Place("sales", "INBOX", 1, number), "bob@there.example is no report")
            data = {"account": "sales", "folder": "INBOX", "reason": "cut"}
            tell_of_report(unit, EventType.REPORT_MALFORMED, f"r{number}", "sales", data)
        return len(unit.events)

    def queue(db: Any) -> None:  # noqa: ANN401 - a connection
        names = [name for (name,) in db.execute("SELECT id FROM event ORDER BY number")]
        for name in names[:2]:
            outbox_queries.enqueue(db, name, ["hook"], name, 1)
        db.execute("UPDATE notification SET state = 'delivered', finished_at = 2 WHERE event = ?", names[:1])

    assert await store.run(tell) == 3
    await store.run(queue)
    line, _ = await swept(store, Limits(timedelta(days=30), 100, keep=timedelta(days=730)), NOW)
    assert line["other_events"] == 2
    bodies = "SELECT body IS NULL FROM event ORDER BY number"
    assert await store.read(lambda db: db.execute(bodies).fetchall()) == [(1,), (0,), (1,)]
    assert await store.read(lambda db: db.execute("SELECT count(*) FROM notification").fetchone()) == (1,)
    assert await store.run(tell) == 0


async def hold(store: Store, number: int, at: datetime) -> None:
    of = reply(head(f"<r{number}@x>", in_reply_to=[f"<m{number}@mail.example>"]))
    kept = stored(of, f"r{number}", "sales", at, announce=True)
    (piece,) = extract(of, kept.id, at)
    await store.run(lambda db: reply_queries.hold(db, kept, piece, Place("sales", "INBOX"), at))


async def held(store: Store) -> list[int]:
    rows = await store.read(lambda db: db.execute("SELECT id FROM held_reply ORDER BY id").fetchall())
    return [int(identifier.removeprefix("r")) for (identifier,) in rows]


async def until(ask: Callable[[], Awaitable[object]], wanted: object) -> None:
    async with asyncio.timeout(5):
        while await ask() != wanted:  # noqa: ASYNC110 - the sweep is apscheduler's, and tells nobody that it ended
            await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_a_sweep_that_fails_is_logged_and_does_not_end_the_sweeping(store: Store) -> None:
    await store.run(lambda db: db.execute("DROP TABLE event_rate").fetchone())
    log = Log()
    limits = Limits(timedelta(days=30), 4)
    task = asyncio.create_task(retention.run(store, lambda: limits, lambda: datetime.now(SENT_AT.tzinfo), log))
    line = await asyncio.wait_for(log.lines.get(), 5)
    assert line["event"] == "sweep failed"
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
