"""Forged receipts, and honest ones that look like them, through the whole line: what is believed, and how far."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from facts import sent_message

from mdnwatch import acceptance, telling
from mdnwatch.metrics import Metrics
from mdnwatch.model.authenticity import Grade
from mdnwatch.model.event import Event
from mdnwatch.model.received import Batch, Checkpoint, Handled, Place, RawMessage, Role
from mdnwatch.pipeline import Pipeline
from mdnwatch.placement import record_sent
from mdnwatch.sinks.base import SinkSettings
from mdnwatch.sources.trust_settings import TrustSettings
from mdnwatch.status import about, overview
from mdnwatch.store.sent_queries import MAX_UNADDRESSED
from mdnwatch.store.sqlite import Store
from mdnwatch.unit import Rules, Unit
from mdnwatch.verification.verifier import Verifier

SENT_AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NOW = SENT_AT + timedelta(hours=9)
OFFER, INVOICE = "<offer@mail.example>", "<invoice@mail.example>"
BOB, CAROL = "bob@there.example", "carol@there.example"
TRUST = TrustSettings(authserv_ids=("mx.mail.example",))


def receipt(  # what a forger chooses
    sender: str = BOB,
    final: str | None = BOB,
    *results: str,
    of: str = OFFER,
    hours_later: float = 1,
    own_id: str = "<receipt@there.example>",
) -> bytes:
    """A receipt that says "displayed", below some Authentication-Results."""
    date = (SENT_AT + timedelta(hours=hours_later)).strftime("%a, %d %b %Y %H:%M:%S +0000")
    above = "".join(f"Authentication-Results: {result}\n" for result in results)
    recipient = f"Final-Recipient: rfc822;{final}\n" if final else ""
    return f"""\
{above}From: {sender}
To: alice@mail.example
Subject: Read
Date: {date}
Message-ID: {own_id}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; boundary="b"

--b
Content-Type: text/plain

It was displayed.
--b
Content-Type: message/disposition-notification

{recipient}Original-Message-ID: {of}
Disposition: manual-action/MDN-sent-manually; displayed

--b--
""".encode()


@dataclass
class World:
    store: Store
    verifier: Verifier
    rules: Rules = field(default_factory=Rules)
    told: list[Event] = field(default_factory=list)
    uid: int = 0
    enqueue: Callable[[sqlite3.Connection, Event, datetime], None] = lambda _db, _event, _now: None

    async def send(self, message_id: str = OFFER, *recipients: str, date: datetime = SENT_AT) -> None:
        def work(db: sqlite3.Connection) -> None:
            unit = Unit(db, self.rules, NOW, self._enqueue)
            record_sent(unit, sent_message(message_id, recipients or (BOB, CAROL), date=date))

        await self.store.run(work)

    async def receive(self, *mail: bytes, account: str = "sales") -> Handled:
        pipeline = Pipeline(
            self.store,
            rules=self.rules,
            enqueue=self._enqueue,
            wake_outbox=lambda: None,
            now=lambda: NOW,
            log=Silent(),
            metrics=Metrics(),
            verify=self.verifier.verify,
        )
        return await pipeline.handle(Batch([self._raw(data, account) for data in mail], Checkpoint(account, "INBOX")))

    def _raw(self, data: bytes, account: str) -> RawMessage:
        self.uid += 1
        return RawMessage(Place(account, "INBOX", 7, self.uid), Role.INBOX, data, len(data), NOW)

    def _enqueue(self, db: sqlite3.Connection, event: Event, now: datetime) -> None:
        self.told.append(event)
        self.enqueue(db, event, now)

    async def notified(self) -> list[tuple[str]]:
        return await self.store.read(lambda db: db.execute("SELECT sink FROM notification ORDER BY id").fetchall())

    @property
    def events(self) -> list[str]:
        return [event.type.value for event in self.told]

    async def grades(self) -> list[tuple[str, list[str]]]:
        """Grade and reasons of all evidence of the offer, of each recipient in order."""
        facts: Any = await self.store.read(lambda db: about(db, OFFER))
        recipients = facts["messages"][0]["recipients"]
        return [(piece["grade"], piece["grade_reasons"]) for one in recipients for piece in one["evidence"]]

    async def summaries(self, message_id: str = OFFER) -> dict[str, str]:
        facts: Any = await self.store.read(lambda db: about(db, message_id))
        return {one["address"]: one["summary"] for one in facts["messages"][0]["recipients"]}


class Silent:
    def info(self, event: str, **_fields: Any) -> None:  # noqa: ANN401 - as structlog
        assert event == "message handled"

    warning = info


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = Store(tmp_path)
    await store.open()
    yield World(store, Verifier({"sales": TRUST, "office": TRUST}))
    await store.close()


PASSED = "mx.mail.example; dkim=pass header.d=there.example; dmarc=pass header.from=there.example"
FAILED = "mx.mail.example; dkim=none; dmarc=fail header.from=there.example"
NOTHING = "mx.mail.example; dkim=none; spf=pass smtp.mailfrom=there.example"
GMAIL_PASSED = "mx.mail.example; dkim=pass header.d=gmail.com; dmarc=pass header.from=gmail.com"
PROVED = ["dmarc-pass", "dkim-pass"]

# What arrives; what it is worth, and why; what becomes of Bob's state.
CASES = {
    "honest, and vouched for": (receipt(BOB, BOB, PASSED), "authenticated", PROVED, "displayed"),
    "honest, and nobody vouches for it": (receipt(), "consistent", [], "displayed"),
    "SPF alone": (receipt(BOB, BOB, NOTHING), "consistent", [], "displayed"),
    "in Bob's name, from elsewhere": (receipt(BOB, BOB, FAILED), "doubtful", ["dmarc-failed"], "displayed"),
    "Carol answers for Bob": (receipt(CAROL, BOB), "doubtful", ["same-domain-sender"], "displayed"),
    "Carol answers for Bob, with DMARC": (
        receipt(CAROL, BOB, PASSED),
        "doubtful",
        ["same-domain-sender"],
        "displayed",
    ),
    "a stranger answers for Bob": (receipt("m@evil.example", BOB), "doubtful", ["foreign-sender"], "displayed"),
    "a stranger answers for Bob, with his own DMARC": (
        receipt("m@evil.example", BOB, PASSED.replace("there.example", "evil.example")),
        "doubtful",
        ["foreign-sender"],
        "displayed",
    ),
    "a forged result below the real one": (receipt(BOB, BOB, NOTHING, PASSED), "consistent", [], "displayed"),
    "a forged result above the real one": (
        receipt(BOB, BOB, PASSED, FAILED),
        "doubtful",
        ["dmarc-failed"],
        "displayed",
    ),
    "a result of a server that nobody named": (
        receipt(BOB, BOB, PASSED.replace("mx.mail", "mx.evil")),
        "consistent",
        [],
        "displayed",
    ),
    "two authors": (receipt(f"{BOB}, m@evil.example", BOB, PASSED), "consistent", [], "displayed"),
    "an hour older than the message": (
        receipt(BOB, BOB, PASSED, hours_later=-1),
        "doubtful",
        [*PROVED, "before-message"],
        "displayed",
    ),
    "two days older than the message": (
        receipt(BOB, BOB, PASSED, hours_later=-48),
        "contradicted",
        [*PROVED, "long-before-message"],
        "unknown",
    ),
    "no recipient named, of two": (receipt(BOB, None), None, [], "unknown"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.asyncio
async def test_what_a_receipt_is_worth(world: World, case: str) -> None:
    mail, grade, reasons, summary = CASES[case]
    await world.send()
    await world.receive(mail)
    assert await world.grades() == ([] if grade is None else [(grade, reasons)])
    assert (await world.summaries())[BOB] == summary
    assert ("report.suspicious" in world.events) == (grade == "contradicted")


@pytest.mark.asyncio
async def test_a_stranger_at_gmail_answers_for_nobody_there(world: World) -> None:
    await world.send(OFFER, "bob@gmail.com")
    await world.receive(receipt("mallory@gmail.com", "bob@gmail.com", GMAIL_PASSED))
    assert await world.grades() == [("doubtful", ["same-domain-sender"])]
    await world.receive(receipt("bob@gmail.com", "bob@gmail.com", GMAIL_PASSED, own_id="<own@gmail.com>"))
    assert ("authenticated", PROVED) in await world.grades()


@pytest.mark.asyncio
async def test_a_receipt_for_a_message_that_was_never_sent_changes_nothing(world: World) -> None:
    await world.send()
    handled = await world.receive(receipt(BOB, BOB, PASSED, of="<guessed@mail.example>"))
    assert (handled.unmatched, world.events) == (1, [])


@pytest.mark.parametrize("final", ["hidden@else.example", "bob.private@home.example"])
@pytest.mark.asyncio
async def test_hidden_and_forwarded_recipients_are_no_forgers(world: World, final: str) -> None:
    await world.send()
    await world.receive(receipt(final, final))
    assert await world.grades() == [("doubtful", ["not-addressed"])]
    assert world.events == ["recipient.displayed"]
    assert (await world.summaries())[BOB] == "unknown"


@pytest.mark.asyncio
async def test_an_old_receipt_proves_nothing_of_a_new_message(world: World) -> None:
    old = receipt(BOB, BOB, PASSED)
    await world.send()
    await world.receive(old)
    await world.send(INVOICE, BOB, date=SENT_AT + timedelta(days=3))
    told = list(world.told)
    # As it was; then about the new message, of which its signature, if it had one, would not be.
    await world.receive(old)
    assert world.told == told
    await world.receive(old.replace(OFFER.encode(), INVOICE.encode()))
    assert await world.summaries(INVOICE) == {BOB: "unknown"}
    assert world.events[len(told) :] == ["report.suspicious"]


@pytest.mark.parametrize("first", ["message", "reply"])
@pytest.mark.asyncio
async def test_a_reply_is_vouched_for_like_a_receipt_whether_or_not_it_had_to_wait(world: World, first: str) -> None:
    reply = f"""\
Authentication-Results: {PASSED}
From: Bob <{BOB}>
To: alice@mail.example
Date: Mon, 23 Nov 2026 10:00:00 +0000
Message-ID: <reply@there.example>
In-Reply-To: {OFFER}

Agreed.
""".encode()
    if first == "message":
        await world.send()
    await world.receive(reply)
    if first == "reply":
        await world.send()
    assert await world.grades() == [("authenticated", PROVED)]
    assert world.events == ["recipient.replied"]


@pytest.mark.asyncio
async def test_what_was_proved_at_one_place_is_proved_in_any_order(world: World) -> None:
    await world.send()
    world.rules = Rules(min_grade=Grade.AUTHENTICATED)
    await world.receive(receipt(BOB, BOB, FAILED))
    assert world.events == []
    await world.receive(receipt(BOB, BOB, PASSED), account="office")
    assert await world.grades() == [("authenticated", PROVED)]
    assert world.events == ["recipient.displayed"]
    await world.receive(receipt(BOB, BOB, FAILED))
    assert (await world.summaries())[BOB] == "displayed"


@pytest.mark.asyncio
async def test_an_account_asks_for_better_evidence_than_the_others(world: World) -> None:
    world.rules = Rules(min_grades={"sales": Grade.AUTHENTICATED})
    await world.send()
    await world.receive(receipt())
    assert (await world.summaries())[BOB] == "unknown"
    await world.receive(receipt(BOB, BOB, PASSED, own_id="<second@there.example>"))
    assert (await world.summaries())[BOB] == "displayed"
    assert len(world.events) == 1


@pytest.mark.asyncio
async def test_a_forged_receipt_does_not_keep_the_real_one_from_those_who_want_proof(world: World) -> None:
    await world.send()
    await world.receive(receipt("m@evil.example", BOB, own_id="<forged@evil.example>"))
    await world.receive(receipt(BOB, BOB, PASSED))
    assert [(event.type.value, event.grade) for event in world.told] == [
        ("recipient.displayed", Grade.DOUBTFUL),
        ("recipient.displayed", Grade.AUTHENTICATED),
    ]
    # One event that rests on better evidence now: who has had it, leaves it out.
    assert len({event.id for event in world.told}) == 1
    assert '"by":"dmarc"' in world.told[1].body
    await world.receive(receipt(BOB, BOB, PASSED, own_id="<again@there.example>"))
    assert len(world.told) == 2


@pytest.mark.asyncio
async def test_a_sink_that_wants_proof_gets_the_event_when_there_is_one(world: World) -> None:
    sinks = [
        SinkSettings(name="all", kind="log"),
        SinkSettings(name="proof", kind="log", min_grade=Grade.AUTHENTICATED),
    ]
    world.enqueue = lambda db, event, now: telling.enqueue(db, event, now, sinks)
    await world.send()
    await world.receive(receipt())
    assert await world.notified() == [("all",)]
    await world.receive(receipt(BOB, BOB, PASSED, own_id="<second@there.example>"))
    await world.receive(receipt(BOB, BOB, PASSED, own_id="<third@there.example>"))
    assert await world.notified() == [("all",), ("proof",)]


def crowd(senders: Sequence[str]) -> list[bytes]:
    return [receipt(sender, sender, own_id=f"<r{n}@there.example>") for n, sender in enumerate(senders)]


@pytest.mark.slow
@pytest.mark.asyncio
async def test_ten_thousand_receipts_of_one_recipient_are_one_event(world: World) -> None:
    await world.send()
    await flood(world, crowd([BOB] * 10_000))
    assert world.events == ["recipient.displayed"]


@pytest.mark.slow
@pytest.mark.asyncio
async def test_ten_thousand_strangers_are_a_bounded_number_of_events(world: World) -> None:
    await world.send()
    await flood(world, crowd([f"s{n}@evil{n}.example" for n in range(10_000)]))
    await assert_bounded(world)


@pytest.mark.asyncio
async def test_strangers_are_told_up_to_a_number_and_then_once(world: World) -> None:
    await world.send()
    await flood(world, crowd([f"s{n}@evil{n}.example" for n in range(MAX_UNADDRESSED + 50)]))
    await assert_bounded(world)
    # Those who were written to are heard as before.
    await world.receive(receipt())
    assert (await world.summaries())[BOB] == "displayed"


async def flood(world: World, mail: Sequence[bytes]) -> None:
    for start in range(0, len(mail), 100):
        await world.receive(*mail[start : start + 100])


async def assert_bounded(world: World) -> None:
    assert world.events == ["recipient.displayed"] * MAX_UNADDRESSED + ["report.suspicious"]
    assert len(await world.summaries()) == MAX_UNADDRESSED + 2


def failure(number: int) -> bytes:
    """A report that a member behind Bob's address failed."""
    return f"""\
From: MAILER-DAEMON@there.example
Message-ID: <d{number}@there.example>
Date: Mon, 23 Nov 2026 10:00:00 +0000
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.there.example

Original-Recipient: rfc822;{BOB}
Final-Recipient: rfc822;member{number}@there.example
Action: failed
Status: 5.1.1

--b
Content-Type: text/rfc822-headers

Message-ID: {OFFER}
--b--
""".encode()


@pytest.mark.asyncio
async def test_members_that_fail_are_told_up_to_a_number_and_then_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "MAX_EVENTS_WITH_MEMBERS", 30)
    await world.send()
    await flood(world, [failure(number) for number in range(50)])
    assert world.events == ["recipient.failed"] * 30 + ["report.suspicious"]
    await world.receive(receipt())
    assert world.events[-1] == "recipient.displayed"


@pytest.mark.asyncio
async def test_status_counts_what_is_worth_how_much(world: World) -> None:
    await world.send()
    await world.receive(receipt(BOB, BOB, PASSED), receipt(CAROL, BOB, own_id="<other@there.example>"))
    facts: Any = await world.store.read(overview)
    assert facts["grades"] == {"authenticated": 1, "consistent": 0, "doubtful": 1, "contradicted": 0}
