"""Answers through the pipeline: whose they are, which message they answer, and what is kept of the others."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from facts import sent_message

from mdnwatch.metrics import Metrics
from mdnwatch.model.event import Event
from mdnwatch.model.event_type import EventType
from mdnwatch.model.received import Batch, Checkpoint, Handled, Place, RawMessage, Role
from mdnwatch.pipeline import Pipeline
from mdnwatch.placement import record_sent
from mdnwatch.status import about
from mdnwatch.store.sqlite import DATABASE_NAME, Store
from mdnwatch.unit import Rules, Unit

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
OFFER = "<offer@mail.example>"
BOB = "bob@there.example"


class Quiet:
    """A log that counts its lines."""

    def __init__(self) -> None:
        self.lines = 0

    def info(self, event: str, **_fields: Any) -> None:  # noqa: ANN401 - as structlog
        assert event == "message handled"
        self.lines += 1

    warning = info


@dataclass
class World:
    store: Store
    pipeline: Pipeline
    log: Quiet
    told: list[Event]

    async def receive(self, data: bytes, uid: int = 1, *, account: str = "sales", announce: bool = True) -> Handled:
        place = Place(account, "INBOX", 7, uid)
        message = RawMessage(place, Role.INBOX, data, len(data), NOW - timedelta(hours=1), announce)
        return await self.pipeline.handle(Batch([message], Checkpoint(account, "INBOX")))

    async def send(self, message_id: str = OFFER, *recipients: str) -> None:
        def work(db: sqlite3.Connection) -> None:
            unit = Unit(db, self.pipeline.rules, NOW, lambda _db, event, _now: self.told.append(event))
            record_sent(unit, sent_message(message_id, recipients or (BOB,)))

        await self.store.run(work)

    @property
    def events(self) -> list[str]:
        return [event.type.value for event in self.told if event.type is not EventType.MESSAGE_SETTLED]

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.store.read(lambda db: db.execute(sql).fetchall())

    async def summary(self, message_id: str = OFFER) -> dict[str, str]:
        (message,) = (await self.store.read(lambda db: about(db, message_id)))["messages"]
        return {recipient["address"]: recipient["summary"] for recipient in message["recipients"]}


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store, told, log = Store(tmp_path), list[Event](), Quiet()
    await store.open()
    pipeline = Pipeline(
        store,
        rules=Rules(own_addresses={"sales": frozenset({"alice@mail.example"})}),
        enqueue=lambda _db, event, _now: told.append(event),
        wake_outbox=lambda: None,
        now=lambda: NOW,
        log=log,
        metrics=Metrics(),
    )
    yield World(store, pipeline, log, told)
    await store.close()


def answer(
    *more: str,
    sender: str = BOB,
    in_reply_to: str = OFFER,
    message_id: str = "<answer@there.example>",
    text: str = "Yes.",
) -> bytes:
    lines = [
        f"From: Bob <{sender}>",
        "To: alice@mail.example",
        "Subject: Re: Offer",
        "Date: Mon, 23 Nov 2026 11:00:00 +0000",
        f"Message-ID: {message_id}",
        *([f"In-Reply-To: {in_reply_to}"] if in_reply_to else []),
        *more,
        "",
        text,
    ]
    return "\r\n".join(lines).encode()


@pytest.mark.asyncio
@pytest.mark.parametrize("before", [True, False])
async def test_a_recipients_answer_is_told_also_where_the_sent_copy_comes_later(world: World, *, before: bool) -> None:
    if before:
        await world.receive(answer())
        assert world.events == []
    await world.send(OFFER, BOB, "carol@there.example")
    await world.receive(answer(), uid=2)
    await world.receive(answer(), uid=3, account="office")
    assert world.events == ["recipient.replied"]
    assert await world.summary() == {BOB: "replied", "carol@there.example": "unknown"}
    assert await world.rows("SELECT grade, reasons FROM evidence") == [("consistent", "[]")]
    assert (len(await world.rows("SELECT * FROM sighting")), world.log.lines) == (3 if before else 2, 2)


@pytest.mark.asyncio
@pytest.mark.parametrize("before", [True, False])
async def test_an_absence_notice_is_told_with_the_day_that_it_names(world: World, *, before: bool) -> None:
    notice = answer("Auto-Submitted: auto-replied (vacation)", text="I am away until 1 December 2026.")
    if before:
        assert (await world.receive(notice)).unmatched == 1, "so that the source looks into Sent at once"
    await world.send()
    await world.receive(notice)
    (event,) = (event for event in world.told if event.type is not EventType.MESSAGE_SETTLED)
    assert event.type.value == "recipient.auto_replied"
    assert '"summary":"delivered"' in event.body
    assert event.body.count('"return_date":"2026-12-01"') == 2, "of the evidence and of the state"
    assert await world.summary() == {BOB: "delivered"}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: auto-generated",
        "Precedence: bulk",
        "Auto-Submitted: auto-notified; owner-email=bob@there.example",
    ],
)
async def test_what_a_machine_wrote_is_no_persons_answer(world: World, field: str) -> None:
    await world.send()
    await world.receive(answer(field))
    assert world.events == ["recipient.auto_replied"]


@pytest.mark.asyncio
async def test_who_is_no_recipient_becomes_none_by_answering(world: World) -> None:
    await world.send()
    await world.receive(answer(sender="dave@there.example"))
    await world.receive(answer("Auto-Submitted: auto-replied", sender="bot@there.example", message_id="<2@x>"))
    assert await world.summary() == {BOB: "unknown"}
    assert await world.rows("SELECT * FROM report") == []
    # A second copy, as of a client that files one for each recipient, says that he is one.
    await world.send(OFFER, "Dave+offers@there.example")
    assert world.events == ["recipient.replied"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "data",
    [
        answer(sender="alice@mail.example"),
        answer("List-Id: <talk.lists.example>").replace(b"To: alice@mail.example", b"To: talk@lists.example"),
        answer(in_reply_to="your mail"),
        answer("Auto-Submitted: auto-replied", in_reply_to=""),
    ],
)
async def test_our_own_mail_and_that_of_lists_answers_nothing_of_ours(world: World, data: bytes) -> None:
    await world.send(OFFER, BOB, "alice@mail.example")
    await world.receive(data)
    assert world.events == []
    assert await world.rows("SELECT * FROM held_reply") == []


@pytest.mark.asyncio
async def test_nobody_answers_himself_from_another_account(world: World) -> None:
    # The account it was seen in does not name the address, and yet it is the sender's.
    await world.send(OFFER, BOB, "alice@mail.example")
    await world.receive(answer(sender="alice@mail.example"), account="office")
    assert world.events == []


@pytest.mark.asyncio
async def test_a_message_that_was_forwarded_to_another_is_found_by_the_references(world: World) -> None:
    # Carol answers what Bob answered; both had the offer.
    await world.send(OFFER, BOB, "carol@there.example")
    await world.receive(
        answer(
            f"References: {OFFER} <bobs@there.example>",
            in_reply_to="<bobs@there.example>",
            sender="carol@there.example",
        )
    )
    assert await world.summary() == {BOB: "unknown", "carol@there.example": "replied"}
    assert await world.rows("SELECT rung FROM report") == [("references",)]


@pytest.mark.asyncio
async def test_a_responder_answers_one_message_and_none_before_it(world: World) -> None:
    await world.send("<first@mail.example>")
    await world.receive(answer("Auto-Submitted: auto-replied", "References: <first@mail.example> <offer@mail.example>"))
    assert world.events == []
    await world.send()
    assert await world.summary("<first@mail.example>") == {BOB: "unknown"}
    assert await world.summary() == {BOB: "delivered"}


@pytest.mark.asyncio
async def test_an_answer_moves_to_the_nearer_message_when_that_is_found(world: World) -> None:
    await world.send("<first@mail.example>")
    await world.receive(answer(f"References: <first@mail.example> {OFFER}"))
    assert await world.summary("<first@mail.example>") == {BOB: "replied"}
    await world.send()
    assert await world.summary("<first@mail.example>") == {BOB: "unknown"}
    assert await world.summary() == {BOB: "replied"}


@pytest.mark.asyncio
async def test_a_reply_to_other_mail_leaves_keyed_hashes_only(world: World, tmp_path: Path) -> None:
    handled = await world.receive(answer("References: <older@there.example>", sender="Dora+x@private.example"))
    assert (handled.reports, handled.unmatched, world.log.lines) == (0, 0, 0)
    for table in ("report", "report_key", "evidence", "sighting", "event", "recipient"):
        assert await world.rows(f"SELECT count(*) FROM {table}") == [(0,)]
    await world.store.close()
    content = (tmp_path / DATABASE_NAME).read_bytes().lower()
    for word in (b"dora", b"private.example", b"offer@", b"older@", b"answer@", b"yes."):
        assert word not in content


@pytest.mark.asyncio
async def test_a_backfilled_answer_builds_the_state_and_tells_nobody(world: World) -> None:
    await world.receive(answer(), announce=False)
    await world.send()
    assert (world.events, await world.summary()) == ([], {BOB: "replied"})
    await world.receive(answer(message_id="<again@there.example>"), uid=2)
    assert world.events == []


@pytest.mark.asyncio
async def test_one_that_answers_two_messages_alike_is_ambiguous(world: World) -> None:
    await world.receive(answer(in_reply_to=f"{OFFER} <other@mail.example>"))
    await world.send()
    assert world.events == ["recipient.replied"]
    await world.send("<other@mail.example>")
    assert world.events == ["recipient.replied", "report.ambiguous"]
    assert (await world.summary(), await world.summary("<other@mail.example>")) == ({BOB: "unknown"}, {BOB: "unknown"})
