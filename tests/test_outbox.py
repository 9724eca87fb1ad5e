"""The outbox on the real store against real receivers: nothing lost, nothing out of order, nobody flooded."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import pytest_asyncio
from outbox_world import World, world
from servers.receiver import OTHER_SECRET, SECRET, Answer, Received, Receiver

from mdnwatch.errors import CommitFailed
from mdnwatch.model.event_type import EventType
from mdnwatch.model.notification import Outcome, Outgoing, Verdict
from mdnwatch.outbox_route import LEASED_AHEAD
from mdnwatch.sinks.base import DEFAULT_CONCURRENCY, SinkSettings
from mdnwatch.store.sqlite import DATABASE_NAME

OK, BROKEN, GONE, BUSY, AWAY = Answer(200), Answer(500), Answer(410), Answer(429), Answer(503)


@pytest_asyncio.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "state") as made:
        yield made


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


@pytest.mark.asyncio
async def test_what_is_queued_arrives_once_signed_and_byte_for_byte(here: World, receiver: Receiver) -> None:
    await here.queue([("before", "a")])
    async with here.run(here.sink(receiver)):
        await here.queue([(f"e{number}", f"k{number}") for number in range(100)])
        await here.wait_for_line("event delivered", 101)
    assert Counter(receiver.ids) == Counter(["before", *(f"e{number}" for number in range(100))])
    assert all(request.verified_by == (SECRET,) for request in receiver.received)
    assert receiver.received[0].body == '{"id":"before","text":"Jürgen"}'.encode()
    assert set((await here.states()).values()) == {"delivered"}
    assert receiver.most_at_once <= DEFAULT_CONCURRENCY


@pytest.mark.asyncio
async def test_events_of_one_recipient_arrive_in_order_though_each_is_slow(here: World, receiver: Receiver) -> None:
    order = [(f"{key}{number}", key) for number in range(8) for key in "abc"]
    async with here.run(here.sink(receiver)):
        await here.queue(order)
        await here.wait_for_line("event delivered", len(order))
    for key in "abc":
        assert [event for event in receiver.ids if event[0] == key] == [event for event, of in order if of == key]


@pytest.mark.asyncio
async def test_a_failing_event_holds_up_its_recipient_and_nobody_else(here: World, receiver: Receiver) -> None:
    receiver.behaviour = lambda request: BROKEN if request.id == "a1" and len(receiver.received) < 4 else OK
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a"), ("a2", "a"), ("b1", "b"), ("c1", "c"), ("d1", "d")])
        await here.wait_for_line("event delivered", 3)
        here.pass_time(seconds=3)
        await here.nothing_goes()
        assert (await here.states())["a2"] == "waiting"
        here.pass_time(seconds=3)
        await here.wait_for_line("event delivered", 5)
    assert [event for event in receiver.ids if event[0] == "a"] == ["a1", "a1", "a2"]


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [BROKEN, Answer(400), Answer(301, {"Location": "http://127.0.0.1:1/"})])
async def test_a_rejected_event_is_tried_again_after_5_seconds_then_5_minutes(
    here: World, receiver: Receiver, answer: Answer
) -> None:
    receiver.answer_in_turn([answer, answer, OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        await here.wait_for_line("event not delivered")
        assert 4000 <= (await here.row("a1"))["due_at"] - here.clock.ms() <= 5600
        here.pass_time(seconds=6)
        line = await here.wait_for_line("event not delivered", 2)
        assert 250_000 <= (await here.row("a1"))["due_at"] - here.clock.ms() <= 331_000
        assert (line["sink"], line["event_id"], line["attempt"], line["status"]) == ("crm", "a1", 2, answer.status)
        assert datetime.fromisoformat(line["next_attempt"]) > here.clock() + timedelta(minutes=4)
        here.pass_time(minutes=6)
        await here.wait_for_line("event delivered")
    assert receiver.ids == ["a1"] * 3
    assert here.news == []


@pytest.mark.asyncio
async def test_an_event_is_given_up_at_its_time_and_the_next_of_its_recipient_goes(
    here: World, receiver: Receiver
) -> None:
    receiver.behaviour = lambda request: BROKEN if request.id == "a1" else OK
    async with here.run(here.sink(receiver, give_up_after="60s")):
        await here.queue([("a1", "a"), ("a2", "a")])
        await here.wait_for_line("event not delivered")
        here.pass_time(seconds=6)
        await here.wait_for_line("event not delivered", 2)
        assert await here.states() == {"a1": "head", "a2": "waiting"}
        here.pass_time(seconds=60)
        await here.wait_for_line("event delivered")
        assert await here.states() == {"a1": "given_up", "a2": "delivered"}
    assert receiver.ids == ["a1", "a1", "a1", "a2"]
    assert here.log.of("event given up")[0]["cause"] == "HTTP 500 Internal Server Error"


@pytest.mark.asyncio
async def test_an_absent_endpoint_is_probed_one_by_one_and_its_first_success_lets_everything_go(
    here: World, receiver: Receiver
) -> None:
    held = asyncio.Event()
    async with here.run(here.sink(receiver, concurrency=8)):
        await receiver.stop()
        await here.queue([(f"e{number}", f"k{number}") for number in range(50)])
        await here.wait_for_line("event not delivered", 8)
        for probe in range(4):
            here.pass_time(minutes=16)
            await here.wait_for_line("event not delivered", 9 + probe)
        assert (await here.backlog()).waiting == 50
        receiver.behaviour = lambda _: Answer(wait=held)
        await receiver.start()
        here.pass_time(minutes=16)
        await receiver.wait_for_count(1)
        # The probe has no answer yet: nothing else goes.
        here.pass_time(minutes=16)
        await here.nothing_goes()
        assert len(receiver.received) == 1
        receiver.behaviour = lambda _: OK
        held.set()
        await here.wait_for_line("event delivered", 50)
    assert Counter(receiver.ids) == Counter(f"e{number}" for number in range(50))
    assert [kind for kind, _, _ in here.news] == [EventType.SINK_DOWN, EventType.SINK_UP]
    assert "Connection refused" in here.news[0][2]


@pytest.mark.asyncio
async def test_what_was_leased_ahead_for_an_endpoint_that_goes_down_is_as_if_never_tried(
    here: World, receiver: Receiver
) -> None:
    held = asyncio.Event()
    receiver.answer_in_turn([Answer(503, {"Retry-After": "60"}, wait=held), Answer(wait=held)])
    async with here.run(here.sink(receiver, concurrency=2)):
        await here.queue([(f"e{number}", f"k{number}") for number in range(20)])
        await receiver.wait_for_count(2)
        assert list((await here.states()).values()).count("leased") == 2 * LEASED_AHEAD
        held.set()
        await here.wait_for_line("event not delivered")
        await here.wait_for_line("event delivered")
        await here.nothing_goes()
        states = await here.states()
        assert Counter(states.values()) == {"delivered": 1, "head": 19}
        assert [(await here.row(f"e{number}"))["attempts"] for number in range(20)] == [1, 1, *[0] * 18]
        here.pass_time(seconds=61)
        await here.wait_for_line("event delivered", 20)
    assert len(receiver.ids) == 21


@pytest.mark.asyncio
async def test_probes_are_quick_at_first_and_at_most_15_minutes_apart(here: World, receiver: Receiver) -> None:
    receiver.behaviour = lambda _: AWAY
    waits = []
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        for probe in range(14):
            await here.wait_for_line("event not delivered", probe + 1)
            endpoint = (await here.backlog()).endpoint
            assert endpoint is not None
            assert endpoint.next_probe_at is not None
            waits.append(endpoint.next_probe_at - here.clock.ms())
            here.pass_time(milliseconds=max(waits[-1], 0) + 1)
    assert waits[0] <= 1000
    assert 700_000 < waits[-1] <= 900_000
    assert max(waits) <= 900_000
    # An outage costs an event none of its own time.
    assert (await here.row("a1"))["waited"] == 0


@pytest.mark.asyncio
async def test_after_an_outage_what_was_rejected_before_is_due_as_well(here: World, receiver: Receiver) -> None:
    receiver.answer_in_turn([BROKEN, BROKEN, AWAY, OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        await here.wait_for_line("event not delivered")
        here.pass_time(seconds=6)
        await here.wait_for_line("event not delivered", 2)
        await here.queue([("b1", "b")])
        # Its own schedule would have let it wait for five minutes.
        await here.wait_for_line("event delivered", 2)
    assert receiver.ids == ["a1", "a1", "b1", "b1", "a1"]
    assert here.news == []


@pytest.mark.asyncio
async def test_a_changed_configuration_makes_what_failed_due(here: World, receiver: Receiver) -> None:
    receiver.answer_in_turn([Answer(401), Answer(401), OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        await here.wait_for_line("event not delivered")
        here.pass_time(seconds=6)
        await here.wait_for_line("event not delivered", 2)
    async with here.run(here.sink(receiver)):
        await here.nothing_goes()
    async with here.run(here.sink(receiver, secrets=[OTHER_SECRET])):
        await here.wait_for_line("event delivered")


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [BROKEN, AWAY])
async def test_a_clock_that_was_wrong_in_an_earlier_run_holds_nothing_up(
    here: World, receiver: Receiver, answer: Answer
) -> None:
    receiver.answer_in_turn([answer, OK])
    here.clock.offset = timedelta(days=365)
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a"), ("a2", "a")])
        await here.wait_for_line("event not delivered")
    here.clock.offset = timedelta(0)
    async with here.run(here.sink(receiver)):
        await here.looked()
        here.pass_time(hours=27)
        await here.wait_for_line("event delivered", 2)


@pytest.mark.asyncio
async def test_a_slow_endpoint_backs_off_and_costs_another_nothing(here: World, receiver: Receiver) -> None:
    async with Receiver() as quick:
        receiver.behaviour = lambda _: Answer(wait=asyncio.Event())
        slow_sink = here.sink(receiver, "slow", timeout="1h")
        async with here.run(slow_sink, here.sink(quick, "quick")):
            await here.queue([(f"e{number}", f"k{number}") for number in range(200)], ("slow", "quick"))
            await quick.wait_for_count(200)
            await receiver.wait_for_count(16)
            assert receiver.at_once == 16
            assert (await here.backlog("slow")).waiting == 200


@pytest.mark.asyncio
async def test_an_attempt_that_takes_too_long_is_a_failure_of_the_endpoint(here: World, receiver: Receiver) -> None:
    receiver.answer_in_turn([Answer(wait=asyncio.Event()), OK])
    async with here.run(here.sink(receiver, timeout="200ms")):
        await here.queue([("a1", "a")])
        line = await here.wait_for_line("event not delivered")
        assert (line["cause"], line["next_attempt"]) == ("no answer within 0.2 s", "when the endpoint is back")
        await here.wait_for_line("event delivered")
    assert receiver.ids == ["a1", "a1"]


@pytest.mark.asyncio
async def test_half_an_answer_is_tried_again_under_the_same_id(here: World, receiver: Receiver) -> None:
    receiver.answer_in_turn([Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Le"), OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a"), ("a2", "a")])
        await here.wait_for_line("event delivered", 2)
    assert receiver.ids == ["a1", "a1", "a2"]


@pytest.mark.asyncio
@pytest.mark.parametrize("as_date", [False, True])
@pytest.mark.parametrize("status", [429, 503])
async def test_an_endpoint_that_asks_for_time_gets_it(
    here: World, receiver: Receiver, status: int, *, as_date: bool
) -> None:
    hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True) if as_date else "3600"
    receiver.answer_in_turn([Answer(status, {"Retry-After": hour}), OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        await here.wait_for_line("event not delivered")
        here.pass_time(minutes=58)
        await here.queue([("b1", "b")])
        await here.nothing_goes()
        assert (await here.backlog()).waiting == 2
        here.pass_time(minutes=3)
        await here.wait_for_line("event delivered", 2)


@pytest.mark.asyncio
async def test_an_event_that_is_asked_to_wait_is_alone_in_waiting(here: World, receiver: Receiver) -> None:
    receiver.answer_in_turn([Answer(500, {"Retry-After": "999999999"}), OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        await here.wait_for_line("event not delivered")
        await here.queue([("b1", "b")])
        await here.wait_for_line("event delivered")
        # Capped at a day.
        here.pass_time(hours=24, seconds=1)
        await here.wait_for_line("event delivered", 2)
    assert receiver.ids == ["a1", "b1", "a1"]


@pytest.mark.asyncio
async def test_410_disables_the_endpoint_until_its_configuration_changes(here: World, receiver: Receiver) -> None:
    receiver.answer_in_turn([GONE, OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        assert (await here.wait_for_line("sink disabled"))["cause"] == "HTTP 410 Gone"
        await here.queue([("b1", "b")])
        here.pass_time(days=30)
        await here.nothing_goes()
    async with here.run(here.sink(receiver)):
        await here.queue([("c1", "c")])
        here.pass_time(days=30)
        await here.nothing_goes()
        backlog = await here.backlog()
        assert backlog.waiting == 3
        assert backlog.endpoint is not None
        assert backlog.endpoint.disabled_at is not None
    assert receiver.ids == ["a1"]
    assert [kind for kind, _, _ in here.news] == [EventType.SINK_DOWN]
    async with here.run(here.sink(receiver, secrets=[SECRET, OTHER_SECRET])):
        await here.wait_for_line("event delivered", 3)
    assert [kind for kind, _, _ in here.news] == [EventType.SINK_DOWN, EventType.SINK_UP]


@pytest.mark.asyncio
async def test_the_back_off_outlives_a_restart(here: World, receiver: Receiver) -> None:
    receiver.answer_in_turn([Answer(503, {"Retry-After": "3600"}), OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        await here.wait_for_line("event not delivered")
    async with here.run(here.sink(receiver)) as outbox:
        await here.queue([("b1", "b")])
        await here.nothing_goes()
        assert {sink.waiting for sink in await outbox.backlog()} == {2}
        here.pass_time(minutes=61)
        await here.wait_for_line("event delivered", 2)


@pytest.mark.asyncio
async def test_an_event_that_alone_brings_the_endpoint_down_does_not_hold_up_the_others(
    here: World, receiver: Receiver
) -> None:
    receiver.behaviour = lambda request: AWAY if request.id == "bad" else OK
    async with here.run(here.sink(receiver, concurrency=2)):
        await here.queue([("bad", "bad"), *((f"e{number}", f"k{number}") for number in range(40))])
        await here.wait_for_line("event delivered", 40)
        for second in range(60):
            here.pass_time(seconds=1)
            await here.queue([(f"more{second}", f"k{second}")])
            await here.wait_for_line("event delivered", 41 + second)
        assert (await here.row("bad"))["waited"] > 0
    assert receiver.ids.count("bad") < 10


@pytest.mark.asyncio
async def test_stopping_lets_attempts_end_and_records_them(here: World, receiver: Receiver) -> None:
    held = asyncio.Event()
    receiver.behaviour = lambda _: Answer(wait=held)
    async with asyncio.timeout(10), here.run(here.sink(receiver, concurrency=2), stop_grace=60):
        await here.queue([("a1", "a"), ("b1", "b"), ("c1", "c")])
        await receiver.wait_for_count(2)
        asyncio.get_running_loop().call_later(0.05, held.set)
    # Nothing new began while it was stopping.
    assert await here.states() == {"a1": "delivered", "b1": "delivered", "c1": "head"}


@pytest.mark.asyncio
async def test_an_attempt_without_an_answer_at_the_end_is_recorded_as_broken_off(
    here: World, receiver: Receiver
) -> None:
    receiver.answer_in_turn([Answer(wait=asyncio.Event()), OK])
    async with here.run(here.sink(receiver), stop_grace=0.05):
        await here.queue([("a1", "a"), ("a2", "a")])
        await receiver.wait_for_count(1)
    row = await here.row("a1")
    assert (row["state"], row["attempts"], row["rejections"]) == ("head", 1, 0)
    assert row["last_error"] == "broken off when mdnwatch was stopped"
    assert 3000 <= row["due_at"] - here.clock.ms() <= 5600
    async with here.run(here.sink(receiver)):
        here.pass_time(seconds=6)
        await here.wait_for_line("event delivered", 2)
    assert receiver.ids == ["a1", "a1", "a2"]


@pytest.mark.asyncio
async def test_death_between_attempt_and_record_repeats_it_later_under_its_id(
    here: World, receiver: Receiver, tmp_path: Path
) -> None:
    held = asyncio.Event()
    receiver.behaviour = lambda _: Answer(wait=held)
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a"), ("a2", "a")])
        await receiver.wait_for_count(1)
        # What a process that dies now leaves behind.
        copy = tmp_path / "copy"
        copy.mkdir()
        with closing(sqlite3.connect(here.store.path)) as source, closing(sqlite3.connect(copy / DATABASE_NAME)) as to:
            source.backup(to)
        held.set()
        await here.wait_for_line("event delivered", 2)
    receiver.received.clear()
    async with world(copy) as restarted, restarted.run(restarted.sink(receiver)):
        assert (await restarted.states())["a1"] in {"leased", "head"}
        restarted.pass_time(seconds=2)
        await restarted.nothing_goes()
        restarted.pass_time(seconds=4)
        await restarted.wait_for_line("event delivered", 2)
    assert receiver.ids == ["a1", "a2"]
    shutil.rmtree(copy)


@pytest.mark.asyncio
async def test_when_the_database_cannot_be_written_nothing_begins_and_outcomes_are_kept(
    here: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = asyncio.Event()
    receiver.behaviour = lambda _: Answer(wait=held)
    monkeypatch.setattr("mdnwatch.outbox.COMMIT_PAUSE", 0.01)
    run = here.store.run
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a"), ("a2", "a")])
        await receiver.wait_for_count(1)

        async def full(_: object) -> None:
            raise CommitFailed("the disk is full")

        monkeypatch.setattr(here.store, "run", full)
        held.set()
        await here.wait_for_line("outbox cannot be written", 3)
        assert receiver.ids == ["a1"]
        monkeypatch.setattr(here.store, "run", run)
        await here.wait_for_line("event delivered", 2)
    assert receiver.ids == ["a1", "a2"]


@pytest.mark.asyncio
async def test_a_clock_that_is_set_back_holds_nothing_up(here: World, receiver: Receiver) -> None:
    receiver.answer_in_turn([BROKEN, OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        await here.wait_for_line("event not delivered")
        here.pass_time(days=-365)
        await here.wait_for_line("clock was set back")
        assert 0 < (await here.row("a1"))["due_at"] - here.clock.ms() < 6000
        await here.queue([("b1", "b")])
        here.pass_time(seconds=6)
        await here.wait_for_line("event delivered", 2)


@pytest.mark.asyncio
async def test_a_clock_that_is_set_back_does_not_put_off_the_next_probe(here: World, receiver: Receiver) -> None:
    receiver.answer_in_turn([Answer(503, {"Retry-After": "3600"}), OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        await here.wait_for_line("event not delivered")
        here.pass_time(days=-365)
        await here.wait_for_line("clock was set back")
        here.pass_time(minutes=59)
        await here.nothing_goes()
        here.pass_time(minutes=2)
        await here.wait_for_line("event delivered")


@pytest.mark.asyncio
async def test_a_clock_that_leaps_a_year_gives_nothing_up(here: World, receiver: Receiver) -> None:
    receiver.answer_in_turn([BROKEN, BROKEN, OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        await here.wait_for_line("event not delivered")
        here.pass_time(days=365)
        await here.wait_for_line("event not delivered", 2)
        here.pass_time(minutes=6)
        await here.wait_for_line("event delivered")


class Defective:
    """A sink with a defect of the program: it raises, or never ends."""

    identity = "defective"

    def __init__(self, error: Exception | None = None) -> None:
        self.settings = SinkSettings(name="bad", kind="defective")
        self._error = error

    async def send(self, notification: Outgoing) -> Outcome:
        if self._error is None:
            await asyncio.Event().wait()
        elif notification.attempt == 1:
            raise self._error
        return Outcome(Verdict.DELIVERED, "")

    async def close(self) -> None:
        pass


@pytest.mark.asyncio
async def test_a_defect_in_one_sink_is_told_and_stops_no_other(here: World, receiver: Receiver) -> None:
    async with here.run(Defective(KeyError("secret")), here.sink(receiver)):
        await here.queue([("a1", "a")], ("bad", "crm"))
        await here.wait_for_line("event delivered")
        line = await here.wait_for_line("event not delivered")
        assert line["cause"] == "mdnwatch failed to send it (KeyError): please report this"
        here.pass_time(seconds=6)
        await here.wait_for_line("event delivered", 2)
    assert here.log.of("sink failed")


@pytest.mark.asyncio
async def test_a_sink_that_keeps_no_time_limit_is_broken_off(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdnwatch.outbox.SINK_MARGIN", -19.95)
    monkeypatch.setattr("mdnwatch.outbox.LONGEST_REST", 0.02)
    async with here.run(Defective()):
        await here.queue([("a1", "a")], ("bad",))
        assert (await here.wait_for_line("event not delivered"))["cause"] == "the sink did not keep its time limit"


@pytest.mark.asyncio
async def test_news_of_one_sink_reach_another_at_once(here: World, receiver: Receiver) -> None:
    async with Receiver() as gone:
        gone.behaviour = lambda _: GONE
        async with here.run(here.sink(gone, "gone"), here.sink(receiver, "crm")):
            announce = here._announce

            def told(db: sqlite3.Connection, kind: EventType, sink: str, since: int, reason: str) -> None:
                announce(db, kind, sink, since, reason)
                db.execute("INSERT INTO event (id, type, created_at, body) VALUES ('news', ?, 0, '{}')", (kind.value,))
                db.execute(
                    "INSERT INTO notification (event, sink, order_key, state, due_at, created_at)"
                    " VALUES ('news', 'crm', 'news', 'head', 0, 0)"
                )

            assert here.outbox is not None
            here.outbox._announce = told
            await here.queue([("a1", "a")], ("gone",))
            await receiver.wait_for_count(1)
    assert receiver.ids == ["news"]


@pytest.mark.asyncio
async def test_the_log_tells_each_attempt_and_no_secret(here: World, receiver: Receiver) -> None:
    receiver.answer_in_turn([BROKEN, OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        await here.wait_for_line("event not delivered")
        here.pass_time(seconds=6)
        line = await here.wait_for_line("event delivered")
    assert line == {"sink": "crm", "event_id": "a1", "type": "recipient.failed", "attempt": 2, "status": 200}
    assert SECRET[6:] not in repr(here.log.lines)
    assert [level for level, event, _ in here.log.lines if event.startswith("event")] == ["warning", "info"]


@pytest.mark.asyncio
async def test_the_watchdog_hears_of_an_idle_outbox(
    here: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mdnwatch.outbox.LONGEST_REST", 0.01)
    async with here.run(here.sink(receiver)), asyncio.timeout(10):
        for _ in range(5):
            here.beaten.clear()
            await here.beaten.wait()


@pytest.mark.asyncio
async def test_an_idle_outbox_leaves_the_database_alone(
    here: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mdnwatch.outbox.LONGEST_REST", 0.01)
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        await here.wait_for_line("event delivered")
        await here.looked()
        works = []
        run = here.store.run

        async def counted(work: object) -> object:
            works.append(work)
            return await run(work)  # type: ignore[arg-type]  # handed on as it came

        monkeypatch.setattr(here.store, "run", counted)
        async with asyncio.timeout(10):
            for _ in range(10):
                here.beaten.clear()
                await here.beaten.wait()
        assert works == []


@pytest.mark.asyncio
async def test_a_repeated_event_keeps_its_id_and_is_signed_anew(here: World, receiver: Receiver) -> None:
    receiver.answer_in_turn([BROKEN, OK])
    async with here.run(here.sink(receiver)):
        await here.queue([("a1", "a")])
        await here.wait_for_line("event not delivered")
        here.pass_time(seconds=6)
        await here.wait_for_line("event delivered")

    def what_counts(request: Received) -> tuple[str, bytes, tuple[str, ...]]:
        return request.id, request.body, request.verified_by

    first, second = receiver.received
    assert what_counts(first) == what_counts(second) == ("a1", first.body, (SECRET,))
