"""Batches of real messages through reader, correlation and store into one transaction."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from facts import sent_message

from mdnwatch.errors import CommitFailed
from mdnwatch.metrics import Metrics
from mdnwatch.model.event import Event
from mdnwatch.model.received import Batch, Checkpoint, Handled, Mark, Place, RawMessage, Role
from mdnwatch.model.stored import to_ms
from mdnwatch.pipeline import Pipeline, ReadSent, record
from mdnwatch.store import event_queries, outbox_queries, sent_queries
from mdnwatch.store.mark_queries import load_mark
from mdnwatch.store.sqlite import Store
from mdnwatch.unit import Rules, Unit

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)

SENT = b"""\
From: Alice Sender <alice@mail.example>
To: bob@there.example, carol@there.example
Subject: Offer
Date: Mon, 23 Nov 2026 09:00:00 +0000
Message-ID: <offer@mail.example>
Disposition-Notification-To: alice@mail.example

Please confirm.
"""

MDN = b"""\
From: Bob <bob@there.example>
To: alice@mail.example
Subject: Read: Offer
Date: Mon, 23 Nov 2026 10:00:00 +0000
Message-ID: <receipt@there.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; boundary="b"

--b
Content-Type: text/plain

It was displayed.
--b
Content-Type: message/disposition-notification

Final-Recipient: rfc822;bob@there.example
Original-Message-ID: <offer@mail.example>
Disposition: manual-action/MDN-sent-manually; displayed

--b--
"""

ORDINARY = (
    b"From: bob@there.example\nTo: alice@mail.example\nSubject: Lunch?\nMessage-ID: <l@there.example>\n\nAt noon?\n"
)

UNUSABLE = MDN.replace(b"Disposition: manual-action/MDN-sent-manually; displayed\n", b"")


@dataclass
class Lines:
    """A log that is read by the test."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    def info(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - as structlog
        self.lines.append({"event": event, **fields})

    warning = info


@dataclass
class World:
    store: Store
    pipeline: Pipeline
    log: Lines
    woken: list[bool]
    metrics: Metrics

    async def handle(self, *messages: RawMessage, mark: Mark | None = None) -> Handled:
        place = messages[0].place if messages else Place("sales", "INBOX")
        return await self.pipeline.handle(Batch(messages, Checkpoint(place.account, place.folder, mark)))

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.store.read(lambda db: db.execute(sql).fetchall())

    async def events(self) -> list[str]:
        return [kind for (kind,) in await self.rows("SELECT type FROM event WHERE body IS NOT NULL ORDER BY rowid")]


def enqueue(db: sqlite3.Connection, event: Event, now: datetime) -> None:
    outbox_queries.enqueue(db, event.id, ["crm"], event.order_key, to_ms(now) or 0)


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = Store(tmp_path)
    await store.open()
    log, woken = Lines(), list[bool]()
    metrics = Metrics()
    pipeline = Pipeline(
        store,
        rules=Rules(),
        enqueue=enqueue,
        wake_outbox=lambda: woken.append(True),
        now=lambda: NOW,
        log=log,
        metrics=metrics,
    )
    yield World(store, pipeline, log, woken, metrics)
    await store.close()


def received(data: bytes, uid: int = 1, *, account: str = "sales", announce: bool = True) -> RawMessage:
    at = NOW - timedelta(hours=1)
    return RawMessage(Place(account, "INBOX", 7, uid), Role.INBOX, data, len(data), at, announce)


def sent(data: bytes = SENT, uid: int = 1) -> RawMessage:
    return RawMessage(Place("sales", "Sent", 8, uid), Role.SENT, data, len(data), NOW - timedelta(hours=9))


@pytest.mark.asyncio
async def test_a_receipt_about_a_known_message_is_one_event_in_the_outbox_with_the_mark_beside_it(
    world: World,
) -> None:
    await world.handle(sent())
    handled = await world.handle(received(MDN), mark=Mark(7, 1))
    assert (handled.reports, handled.events, handled.unmatched) == (1, 1, 0)
    assert await world.events() == ["recipient.displayed"]
    assert await world.rows("SELECT sink, state FROM notification") == [("crm", "head")]
    assert await world.store.read(lambda db: load_mark(db, "sales", "INBOX")) == Mark(7, 1)
    assert world.woken


@pytest.mark.asyncio
async def test_a_receipt_before_its_message_waits_and_is_told_when_the_copy_appears(world: World) -> None:
    assert (await world.handle(received(MDN))).unmatched == 1
    assert await world.events() == []
    assert (await world.handle(sent())).events == 1
    assert await world.events() == ["recipient.displayed"]


@pytest.mark.asyncio
async def test_the_same_report_in_two_accounts_is_one_event_and_two_sightings(world: World) -> None:
    await world.handle(sent())
    await world.handle(received(MDN))
    await world.handle(received(MDN.replace(b"\n", b"\r\n"), uid=9, account="office"))
    assert await world.events() == ["recipient.displayed"]
    assert await world.rows("SELECT account FROM sighting ORDER BY account") == [("office",), ("sales",)]


@pytest.mark.asyncio
async def test_the_sha256_of_a_mail_is_kept_where_all_of_it_was_fetched(world: World) -> None:
    whole, crlf = received(MDN), received(MDN.replace(b"\n", b"\r\n"), uid=2)
    cut, bad = replace(received(MDN, uid=3), size=len(MDN) + 1), received(UNUSABLE, uid=4)
    await world.handle(whole, crlf, cut, bad)
    digests = [hashlib.sha256(one.data).hexdigest() for one in (whole, crlf, bad)]
    kept = dict(await world.rows("SELECT uid, sha256 FROM sighting"))
    assert kept == {1: digests[0], 2: digests[1], 3: None, 4: digests[2]}


@pytest.mark.asyncio
async def test_ordinary_mail_leaves_nothing_but_the_mark(world: World) -> None:
    await world.handle(received(ORDINARY), mark=Mark(7, 1))
    for table in ("report", "evidence", "sighting", "event", "sent_message"):
        assert await world.rows(f"SELECT count(*) FROM {table}") == [(0,)]
    assert await world.rows("SELECT live FROM mark") == [(1,)]


@pytest.mark.asyncio
async def test_backfilled_evidence_builds_the_state_and_tells_nobody_then_or_later(world: World) -> None:
    await world.handle(sent())
    await world.handle(received(MDN, announce=False))
    again = MDN.replace(b"<receipt@", b"<second-receipt@")
    await world.handle(received(again, uid=2))
    assert await world.events() == []
    (message,) = await world.rows("SELECT id FROM sent_message")
    recipients = await world.store.read(lambda db: sent_queries.recipients_of(db, message[0]))
    assert {one.address: one.state.summary for one in recipients} == {
        "bob@there.example": "displayed",
        "carol@there.example": "unknown",
    }


@pytest.mark.asyncio
async def test_an_unusable_report_is_told_and_kept_and_the_others_of_its_batch_go_on(world: World) -> None:
    await world.handle(sent())
    handled = await world.handle(received(UNUSABLE, 1), received(MDN, 2), mark=Mark(7, 2))
    assert [place.uid for place in handled.failures] == [1]
    assert sorted(await world.events()) == ["recipient.displayed", "report.malformed"]
    assert await world.rows("SELECT uid FROM sighting ORDER BY uid") == [(1,), (2,)]


@pytest.mark.asyncio
async def test_backscatter_is_summarised_after_a_while(world: World) -> None:
    many = [received(UNUSABLE.replace(b"<receipt@", b"<r%d@" % n), n + 1) for n in range(60)]
    await world.handle(*many)
    events = await world.events()
    assert events == ["report.malformed"] * (event_queries.MAX_REPORT_EVENTS_PER_HOUR + 1)
    assert await world.rows("SELECT count(*) FROM report WHERE outcome = 'malformed'") == [(60,)]


@pytest.mark.asyncio
async def test_when_the_database_is_full_neither_mark_nor_evidence_is_kept(world: World) -> None:
    await world.handle(sent())
    pages = (await world.rows("PRAGMA page_count"))[0][0]
    many = [received(MDN.replace(b"<receipt@", b"<%0900d@" % n), n + 1) for n in range(100)]
    await world.store.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with pytest.raises((CommitFailed, sqlite3.OperationalError)):
        await world.handle(*many, mark=Mark(7, 100))
    assert await world.rows("SELECT * FROM mark") == []
    assert await world.rows("SELECT count(*) FROM report") == [(0,)]
    await world.store.run(lambda db: db.execute("PRAGMA max_page_count = 1073741823").fetchone())
    assert (await world.handle(*many, mark=Mark(7, 100))).reports == 100


@pytest.mark.asyncio
async def test_a_message_that_cannot_be_kept_is_quarantined_with_its_place(world: World) -> None:
    bad = ReadSent(Place("sales", "Sent", 8, 3), sent_message(recipients=["lone\ud800surrogate@x.example"]))

    good = [ReadSent(Place("sales", "Sent", 8, uid), sent_message(f"<{uid}@mail.example>")) for uid in (2, 4)]

    def work(db: sqlite3.Connection) -> list[str]:
        outcomes = record(db, [good[0], bad, good[1]], lambda: Unit(db, Rules(), NOW, enqueue))
        return [outcome.outcome for outcome in outcomes]

    assert await world.store.run(work) == ["sent", "quarantined", "sent"]
    assert await world.rows("SELECT message_id FROM sent_message") == [("<2@mail.example>",), ("<4@mail.example>",)]
    assert await world.rows("SELECT folder, uid FROM sighting") == [("Sent", 3)]
    assert await world.events() == ["report.malformed"]


@pytest.mark.asyncio
async def test_each_handled_report_is_one_line_of_the_log(world: World) -> None:
    await world.handle(sent())
    await world.handle(received(MDN, 5), received(ORDINARY, 6))
    (line,) = world.log.lines
    assert (line["event"], line["uid"], line["outcome"], line["recipients"]) == (
        "message handled",
        5,
        "matched",
        ["bob@there.example"],
    )
    assert line["events"] == [identifier for (identifier,) in await world.rows("SELECT id FROM event")]


@pytest.mark.asyncio
async def test_a_report_of_which_not_all_was_fetched_says_so_among_its_defects(world: World) -> None:
    await world.handle(sent())
    await world.handle(replace(received(MDN, 5), size=25 * 1024**2))
    ((content,),) = await world.rows("SELECT content FROM report")
    assert "message-cut" in json.loads(content)["defects"]


COMPLAINT = b"""\
From: Feedback <fbl@there.example>
Date: Mon, 23 Nov 2026 11:00:00 +0000
Message-ID: <complaint@there.example>
Content-Type: multipart/report; report-type=feedback-report; boundary=b

--b

A complaint.
--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Loop/1
Version: 1
Original-Rcpt-To: <bob@there.example>

--b
Content-Type: text/rfc822-headers

Message-ID: <offer@mail.example>
--b--
"""

CERTIFIED = b"""\
From: posta-certificata@pec.example
Date: Mon, 23 Nov 2026 09:00:05 +0000
Message-ID: <accepted@pec.example>
X-Ricevuta: accettazione
X-Riferimento-Message-ID: <offer@mail.example>
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: application/xml; name=daticert.xml

<postacert tipo="accettazione"><intestazione><destinatari>bob@there.example</destinatari>
<destinatari>carol@there.example</destinatari></intestazione></postacert>
--b--
"""


@pytest.mark.asyncio
async def test_complaints_and_certified_receipts_become_events_of_their_own(world: World) -> None:
    await world.handle(sent())
    await world.handle(received(CERTIFIED, 1), received(COMPLAINT, 2))
    assert await world.events() == ["recipient.submitted", "recipient.submitted", "recipient.complained"]
    assert await world.rows("SELECT kind FROM report ORDER BY kind") == [("arf",), ("dsn",)]


@pytest.mark.asyncio
async def test_feedback_that_is_no_complaint_is_kept_and_changes_nothing(world: World) -> None:
    await world.handle(sent())
    await world.handle(received(COMPLAINT.replace(b"abuse", b"not-spam")))
    assert await world.events() == []
    assert await world.rows("SELECT kind FROM report") == [("arf",)]
