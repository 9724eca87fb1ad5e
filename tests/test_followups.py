"""Silence, told in time and once: sweeps over a store with a clock of the test's own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from facts import OURS, SENT_AT, block, dsn, head, mdn, reply

from mdnwatch import followups
from mdnwatch.followups import Followups
from mdnwatch.model.event import Event
from mdnwatch.model.evidence import extract
from mdnwatch.model.followup import Watch
from mdnwatch.model.received import Place
from mdnwatch.model.report import Action, DispositionType, Report, report_id
from mdnwatch.model.sent import Requested, SentMessage
from mdnwatch.model.stored import stored
from mdnwatch.placement import record_report, record_sent
from mdnwatch.store.sqlite import Store
from mdnwatch.unit import Rules, Unit

DAY = timedelta(days=1)
BOB, CAROL = "bob@there.example", "carol@there.example"
OFFER = "<offer@mail.example>"

NOTHING, RECEIPT, REPORT = Requested(), Requested(mdn=True), Requested(dsn=("FAILURE", "SUCCESS"))
WATCH = Watch((3 * DAY, 7 * DAY), of_all=False, watch_for=30 * DAY)


class Quiet:
    def info(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - as structlog
        pass

    def error(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - as structlog
        raise AssertionError(event, fields)


@dataclass
class World:
    directory: Path
    store: Store
    now: datetime = SENT_AT
    watch: Watch = WATCH
    read_until: datetime | None = None  # None: all that has arrived
    told: list[Event] = field(default_factory=list)

    def enqueue(self, _db: sqlite3.Connection, event: Event, _now: datetime) -> None:
        self.told.append(event)

    def unit(self, db: sqlite3.Connection) -> Unit:
        return Unit(db, Rules(), self.now, self.enqueue)

    async def send(self, *recipients: str, requested: Requested = RECEIPT, follow: bool = True) -> None:
        sent = SentMessage(OFFER, OURS, "sales", recipients or (BOB,), "Offer", SENT_AT, requested)
        await self.store.run(lambda db: record_sent(self.unit(db), sent, follow=follow))

    async def receive(self, *reports: Report) -> None:
        def work(db: sqlite3.Connection) -> None:
            for report in reports:
                identifier = report_id(report.head, report.report_part)
                kept = stored(report, identifier, "sales", self.now, announce=True)
                record_report(self.unit(db), kept, extract(report, identifier, self.now), Place("sales", "INBOX", 1, 1))

        await self.store.run(work)

    def followups(self) -> Followups:
        return Followups(
            self.store,
            watch=lambda: self.watch,
            read_until=lambda: {"sales": self.read_until or self.now},
            enqueue=self.enqueue,
            told=lambda: None,
            now=lambda: self.now,
            log=Quiet(),
        )

    async def sweep(self, after: timedelta) -> list[str]:
        """What is told of silence so long after sending."""
        self.now = SENT_AT + after
        before = len(self.told)
        await self.followups().sweep()
        return [words(event) for event in self.told[before:]]

    async def restart(self) -> None:
        await self.store.close()
        self.store = Store(self.directory)
        await self.store.open()


def words(event: Event) -> str:
    """An event as "overdue bob@there.example 3d" or "settled"."""
    data = json.loads(event.body)["data"]
    kind = event.type.value.partition(".")[2]
    if "overdue" in data:
        return f"{kind} {data['recipient']['address']} {data['overdue']['after_seconds'] // 86400}d"
    return f"{kind} {data['recipient']['address']}" if "recipient" in data else kind


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = Store(tmp_path)
    await store.open()
    world = World(tmp_path, store)
    yield world
    await world.store.close()


@pytest.mark.asyncio
async def test_silence_is_told_at_each_step_once_and_the_end_of_the_watch_settles_the_message(world: World) -> None:
    await world.send(BOB, CAROL)
    await world.receive(mdn(head()))
    assert await world.sweep(3 * DAY - timedelta(seconds=1)) == []
    assert await world.sweep(3 * DAY) == [f"overdue {CAROL} 3d"]
    await world.restart()
    assert await world.sweep(4 * DAY) == []
    assert await world.sweep(7 * DAY) == [f"overdue {CAROL} 7d"]
    assert await world.sweep(29 * DAY) == []
    assert await world.sweep(30 * DAY) == ["settled"]
    data = json.loads(world.told[-1].body)["data"]
    assert (data["expired"], data["recipients"]) == (True, {"total": 2, "displayed": 1, "unknown": 1})
    await world.restart()
    assert await world.sweep(90 * DAY) == []
    # Once settled is settled, whatever comes.
    await world.receive(mdn(head("<late@x>", from_address=CAROL), final=CAROL))
    assert [words(event) for event in world.told[-2:]] == ["settled", f"displayed {CAROL}"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "last",
    [
        mdn(head("<l@x>", from_address=CAROL), final=CAROL, disposition_type=DispositionType.DENIED),
        dsn(head("<l@x>"), [block(CAROL, Action.FAILED)]),
        reply(head("<l@x>", from_address=CAROL, in_reply_to=[OFFER])),
    ],
    ids=["declined", "failed", "replied"],
)
async def test_when_each_recipient_has_said_what_it_will_say_the_message_is_settled_at_once(
    world: World, last: Report
) -> None:
    await world.send(BOB, CAROL)
    await world.receive(mdn(head()))
    assert "settled" not in map(words, world.told)
    await world.receive(last)
    assert words(world.told[-1]) == "settled"
    data = json.loads(world.told[-1].body)["data"]
    assert (data["expired"], data["recipients"]["total"]) == (False, 2)
    assert await world.sweep(90 * DAY) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("requested", "heard", "overdue"),
    [
        (NOTHING, [], False),
        (RECEIPT, [], True),
        (REPORT, [], True),
        (Requested(dsn=("FAILURE",)), [], False),
        # It arrived, and yet the receipt that was asked for is missing.
        (RECEIPT, [dsn(head(), [block(BOB, Action.DELIVERED)])], True),
        (REPORT, [dsn(head(), [block(BOB, Action.DELIVERED)])], False),
        (REPORT, [dsn(head(), [block(BOB, Action.RELAYED)])], False),
        (REPORT, [dsn(head(), [block(BOB, Action.DELAYED)])], True),
        (RECEIPT, [dsn(head(), [block(BOB, Action.FAILED)])], False),
        (RECEIPT, [mdn(head(), disposition_type=DispositionType.DELETED)], False),
        # conformance 80
        (RECEIPT, [reply(head(in_reply_to=[OFFER]), by_machine=True)], True),
        (RECEIPT, [reply(head(in_reply_to=[OFFER]))], False),
    ],
)
async def test_who_owes_an_answer_to_what_was_asked_is_overdue(
    world: World, requested: Requested, heard: Sequence[Report], *, overdue: bool
) -> None:
    await world.send(requested=requested)
    await world.receive(*heard)
    assert await world.sweep(4 * DAY) == ([f"overdue {BOB} 3d"] if overdue else [])


@pytest.mark.asyncio
async def test_everybody_is_awaited_where_the_configuration_says_so(world: World) -> None:
    world.watch = Watch((3 * DAY,), of_all=True, watch_for=30 * DAY)
    await world.send(requested=NOTHING)
    assert await world.sweep(3 * DAY) == [f"overdue {BOB} 3d"]


@pytest.mark.asyncio
async def test_as_long_as_a_host_tries_nobody_is_overdue(world: World) -> None:
    # conformance 47
    await world.send()
    tried_until = SENT_AT + 5 * DAY
    await world.receive(dsn(head(), [block(BOB, Action.DELAYED, retry_until=tried_until)]))
    assert await world.sweep(5 * DAY - timedelta(seconds=1)) == []
    assert await world.sweep(5 * DAY) == [f"overdue {BOB} 3d"]


@pytest.mark.asyncio
async def test_once_it_was_delivered_the_end_of_the_tries_is_of_no_interest(world: World) -> None:
    await world.send()
    delayed = dsn(head(), [block(BOB, Action.DELAYED, retry_until=SENT_AT + 5 * DAY)])
    await world.receive(delayed, dsn(head("<2@x>"), [block(BOB, Action.DELIVERED)]))
    assert await world.sweep(3 * DAY) == [f"overdue {BOB} 3d"]


@pytest.mark.asyncio
async def test_of_several_steps_that_passed_unseen_the_last_is_told(world: World) -> None:
    await world.send()
    assert await world.sweep(8 * DAY) == [f"overdue {BOB} 7d"]
    assert await world.sweep(9 * DAY) == []


@pytest.mark.asyncio
async def test_silence_is_told_only_of_time_in_which_the_mailbox_was_read(world: World) -> None:
    await world.send()
    world.read_until = SENT_AT + 2 * DAY
    assert await world.sweep(4 * DAY) == []
    world.read_until = None
    assert await world.sweep(4 * DAY + timedelta(hours=1)) == [f"overdue {BOB} 3d"]


@pytest.mark.asyncio
async def test_another_configuration_holds_from_now_on(world: World) -> None:
    await world.send()
    assert await world.sweep(1 * DAY) == []
    world.watch = Watch((2 * DAY,), of_all=False, watch_for=4 * DAY)
    assert await world.sweep(1 * DAY + timedelta(minutes=1)) == []
    assert await world.sweep(2 * DAY) == [f"overdue {BOB} 2d"]
    assert await world.sweep(4 * DAY) == ["settled"]


@pytest.mark.asyncio
async def test_of_mail_that_was_sent_before_it_was_watched_nothing_is_told(world: World) -> None:
    await world.send(follow=False)
    assert await world.sweep(5 * DAY) == []
    await world.receive(mdn(head()))
    assert [words(event) for event in world.told] == [f"displayed {BOB}"]
    assert await world.sweep(40 * DAY) == []


@pytest.mark.asyncio
async def test_a_sweep_is_bounded_and_the_next_one_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followups, "RECIPIENTS_PER_UNIT", 2)
    monkeypatch.setattr(followups, "UNITS_PER_SWEEP", 2)
    people = [f"r{number}@there.example" for number in range(6)]
    await world.send(*people)
    told = [len(await world.sweep(timedelta(days=3, seconds=seconds))) for seconds in range(4)]
    assert told == [4, 2, 0, 0]


@pytest.mark.asyncio
async def test_neither_the_sweep_nor_the_end_of_a_story_walks_over_a_table(world: World) -> None:
    def plans(db: sqlite3.Connection) -> list[str]:
        asked: list[str] = []
        db.set_trace_callback(asked.append)
        world.followups()._look(db, world.watch, {"sales": world.now}, world.now)
        db.set_trace_callback(None)
        found = [db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql in asked if sql.startswith("SELECT")]
        return [str(step[-1]) for steps in found for step in steps]

    await world.send(BOB, CAROL)
    world.now = SENT_AT + 40 * DAY
    steps = await world.store.run(plans)
    assert any("recipient_due" in step for step in steps)
    assert any("recipient_open" in step for step in steps)
    # A table of one row may be.
    assert {step for step in steps if step.startswith("SCAN")} <= {"SCAN event_counter"}
