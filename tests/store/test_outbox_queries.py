"""The outbox in the database: one head per recipient and sink, in order, found without a scan."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdnwatch.model.notification import NotificationState
from mdnwatch.model.retry import Attempt, Endpoint, Step
from mdnwatch.store import outbox_queries
from mdnwatch.store.migrate import migrate

NOW = 1_800_000_000_000


def database() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("PRAGMA foreign_keys = ON")
    migrate(db, Path("test"))
    return db


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(database()) as connection:
        yield connection


def queue(db: sqlite3.Connection, event: str, key: str, *sinks: str, now: int = NOW) -> None:
    db.execute(
        "INSERT INTO event (id, type, created_at, body) VALUES (?, 'recipient.failed', ?, ?) ON CONFLICT DO NOTHING",
        (event, now, f'{{"id":"{event}"}}'),
    )
    outbox_queries.enqueue(db, event, sinks or ("crm",), key, now)


def lease(db: sqlite3.Connection, sink: str = "crm", limit: int = 100, now: int = NOW) -> list[Attempt]:
    return outbox_queries.lease(db, sink, limit, now, epoch=0, delay=lambda rejections: 5000 * rejections)


def ids(attempts: list[Attempt]) -> list[str]:
    return [attempt.event_id for attempt in attempts]


def finish(db: sqlite3.Connection, attempt: Attempt, state: NotificationState = NotificationState.DELIVERED) -> None:
    outbox_queries.settle(db, [(attempt, NOW, Step(state, NOW, 0, 0))], NOW)


def put_off(db: sqlite3.Connection, attempt: Attempt, due_at: int, *, not_before: int = 0, waited: int = 0) -> None:
    step = Step(NotificationState.HEAD, due_at, 1, waited, not_before, "HTTP 500")
    outbox_queries.settle(db, [(attempt, NOW, step)], NOW)


def states(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT event, state FROM notification ORDER BY id"))


def test_of_one_recipient_only_the_oldest_goes_out(db: sqlite3.Connection) -> None:
    for event, key in (("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a")):
        queue(db, event, key)
    assert ids(lease(db)) == ["a1", "b1"]
    assert lease(db) == []


@pytest.mark.parametrize("state", [NotificationState.DELIVERED, NotificationState.GIVEN_UP])
def test_when_one_is_finished_the_next_of_its_recipient_goes(db: sqlite3.Connection, state: NotificationState) -> None:
    for event in ("a1", "a2", "a3"):
        queue(db, event, "a")
    for expected in ("a1", "a2", "a3"):
        (attempt,) = lease(db)
        assert attempt.event_id == expected
        finish(db, attempt, state)
    assert lease(db) == []
    assert set(states(db).values()) == {state.value}


def test_a_recipient_is_waited_for_in_each_sink_by_itself(db: sqlite3.Connection) -> None:
    queue(db, "a1", "a", "crm", "erp")
    queue(db, "a2", "a", "crm", "erp")
    (attempt,) = lease(db, "crm")
    finish(db, attempt)
    assert ids(lease(db, "crm")) == ["a2"]
    assert ids(lease(db, "erp")) == ["a1"]


def test_what_is_queued_while_the_one_before_is_under_way_waits_for_it(db: sqlite3.Connection) -> None:
    queue(db, "a1", "a")
    (first,) = lease(db)
    queue(db, "a2", "a")
    assert lease(db) == []
    finish(db, first)
    assert ids(lease(db)) == ["a2"]


def test_queueing_twice_changes_nothing(db: sqlite3.Connection) -> None:
    queue(db, "a1", "a")
    finish(db, lease(db)[0])
    queue(db, "a1", "a")
    assert lease(db) == []


def test_an_attempt_is_written_before_it_is_made(db: sqlite3.Connection) -> None:
    queue(db, "a1", "a")
    (attempt,) = lease(db)
    assert (attempt.number, attempt.previous_at, attempt.body) == (1, None, '{"id":"a1"}')
    assert db.execute("SELECT state, attempts, attempted_at, due_at FROM notification").fetchall() == [
        ("leased", 1, NOW, NOW + 5000)
    ]


def test_leases_of_an_earlier_process_are_due_when_their_attempt_said(db: sqlite3.Connection) -> None:
    queue(db, "a1", "a")
    lease(db)
    assert outbox_queries.release_leases(db) == 1
    assert lease(db, now=NOW + 4999) == []
    (again,) = lease(db, now=NOW + 5000)
    assert (again.number, again.previous_at) == (2, NOW)


def test_an_attempt_that_is_not_made_leaves_no_trace(db: sqlite3.Connection) -> None:
    queue(db, "a1", "a", now=NOW - 10)
    before = db.execute("SELECT * FROM notification").fetchall()
    outbox_queries.withdraw(db, lease(db))
    assert db.execute("SELECT * FROM notification").fetchall() == before


def test_the_longest_due_goes_first(db: sqlite3.Connection) -> None:
    queue(db, "a", "a", now=NOW - 10)
    queue(db, "b", "b", now=NOW - 30)
    queue(db, "c", "c", now=NOW - 20)
    assert ids(lease(db, limit=2)) == ["b", "c"]


def test_the_next_due_time_is_that_of_the_next_head(db: sqlite3.Connection) -> None:
    assert outbox_queries.next_due(db, "crm") is None
    queue(db, "a1", "a")
    queue(db, "b1", "b")
    first, second = lease(db)
    put_off(db, first, NOW + 9000)
    assert outbox_queries.next_due(db, "crm") == NOW + 9000
    finish(db, second)
    assert outbox_queries.next_due(db, "crm") == NOW + 9000


def test_when_the_endpoint_is_back_everything_is_due_but_what_it_asked_to_wait_for(db: sqlite3.Connection) -> None:
    for event in ("a", "b"):
        queue(db, event, event)
    first, second = lease(db)
    put_off(db, first, NOW + 60_000, waited=60_000)
    put_off(db, second, NOW + 60_000, waited=60_000, not_before=NOW + 60_000)
    outbox_queries.make_everything_due(db, "crm", NOW + 20_000)
    (attempt,) = lease(db, now=NOW + 20_000)
    assert attempt.event_id == "a"
    # It has waited for 20 of the 60 seconds.
    assert attempt.waited == 20_000
    assert ids(lease(db, now=NOW + 60_000)) == ["b"]


def test_a_clock_that_is_set_back_puts_nothing_off(db: sqlite3.Connection) -> None:
    day = 86_400_000
    for event in ("fresh", "later", "asked"):
        queue(db, event, event)
    for attempt in lease(db):
        if attempt.event_id == "fresh":
            put_off(db, attempt, NOW)
        else:
            put_off(db, attempt, NOW + 5000, not_before=NOW + 5000 if attempt.event_id == "asked" else 0)
    outbox_queries.set_back(db, "crm", NOW - day, day)
    assert ids(lease(db, now=NOW - day)) == ["fresh"]
    outbox_queries.make_everything_due(db, "crm", NOW - day)
    assert ids(lease(db, now=NOW - day)) == ["later"]
    assert ids(lease(db, now=NOW - day + 5000)) == ["asked"]


def test_due_times_of_a_clock_that_was_wrong_are_not_believed_at_the_start(db: sqlite3.Connection) -> None:
    year, day = 31_536_000_000, 86_400_000
    queue(db, "fresh", "fresh", now=NOW + year)
    queue(db, "tried", "tried", now=NOW + year)
    queue(db, "waiting", "waiting")
    (waiting,) = lease(db)
    put_off(db, waiting, NOW + 3000)
    db.execute("UPDATE notification SET attempts = 1 WHERE event = 'tried'")
    outbox_queries.distrust_due_times(db, "crm", NOW, day)
    assert ids(lease(db, now=NOW)) == ["fresh"]
    assert ids(lease(db, now=NOW + 3000)) == ["waiting"]
    assert ids(lease(db, now=NOW + day)) == ["tried"]


def test_an_endpoint_is_kept_as_it_is(db: sqlite3.Connection) -> None:
    endpoint = Endpoint("crm", "i", 3, NOW, NOW + 5, announced=True, disabled_at=None, reason="Connection refused")
    outbox_queries.save_endpoint(db, replace(endpoint, failures=2))
    outbox_queries.save_endpoint(db, endpoint)
    assert outbox_queries.load_endpoints(db) == {"crm": endpoint}


def test_the_backlog_tells_what_waits_for_each_sink(db: sqlite3.Connection) -> None:
    outbox_queries.save_endpoint(db, Endpoint("crm", "i"))
    outbox_queries.save_endpoint(db, Endpoint("idle", "i"))
    queue(db, "a1", "a", "crm", "removed", now=NOW - 10)
    queue(db, "a2", "a", "crm")
    queue(db, "b1", "b", "crm")
    finish(db, next(attempt for attempt in lease(db) if attempt.event_id == "b1"))
    told = [(sink.sink, sink.waiting, sink.oldest, sink.endpoint is not None) for sink in outbox_queries.backlog(db)]
    assert told == [("crm", 2, NOW - 10, True), ("idle", 0, None, True), ("removed", 1, NOW - 10, False)]


def test_an_event_that_has_yet_to_go_out_cannot_be_deleted(db: sqlite3.Connection) -> None:
    queue(db, "a1", "a")
    with pytest.raises(sqlite3.IntegrityError):
        db.execute("DELETE FROM event")


def test_nothing_but_the_backlog_looks_at_every_row(db: sqlite3.Connection) -> None:
    for event in ("a1", "a2", "b1"):
        queue(db, event, event[0])
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    queue(db, "a3", "a")
    outbox_queries.release_leases(db)
    attempts = lease(db)
    outbox_queries.next_due(db, "crm")
    finish(db, attempts[0])
    outbox_queries.make_everything_due(db, "crm", NOW)
    outbox_queries.set_back(db, "crm", NOW, 1)
    outbox_queries.distrust_due_times(db, "crm", NOW, 1)
    db.set_trace_callback(None)
    plans = {sql: [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")] for sql in statements}
    assert len(plans) >= 10
    scans = [sql for sql, plan in plans.items() if any("SCAN notification" in step for step in plan)]
    assert scans == []


COMMANDS = st.lists(
    st.one_of(
        st.tuples(st.just("queue"), st.sampled_from("abc"), st.sampled_from(["crm", "erp"])),
        st.tuples(st.just("lease"), st.integers(1, 3), st.sampled_from(["crm", "erp"])),
        st.tuples(st.just("settle"), st.sampled_from(["delivered", "given_up", "head"]), st.integers(0, 9)),
        st.tuples(st.just("withdraw"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("crash"), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(COMMANDS)
def test_whatever_happens_each_recipient_is_told_in_order_and_never_forgotten(commands: list[tuple[str, ...]]) -> None:
    queued: dict[tuple[str, str], list[str]] = {}
    finished: dict[tuple[str, str], list[str]] = {}
    under_way: list[Attempt] = []
    with closing(database()) as db:
        for number, (command, first, second) in enumerate(commands):
            if command == "queue":
                queue(db, f"e{number}", first, second)
                queued.setdefault((second, first), []).append(f"e{number}")
            elif command == "lease":
                under_way += lease(db, second, int(first), now=NOW + number * 10_000)
            elif command == "settle" and under_way:
                attempt = under_way.pop(int(second) % len(under_way))
                finish(db, attempt, NotificationState(first))
                if first != "head":
                    finished.setdefault((attempt.sink, attempt.order_key), []).append(attempt.event_id)
            elif command == "withdraw" and under_way:
                outbox_queries.withdraw(db, [under_way.pop(int(first) % len(under_way))])
            elif command == "crash":
                under_way.clear()
                outbox_queries.release_leases(db)
            _assert_one_head(db)
    for key, events in finished.items():
        assert events == queued[key][: len(events)]


def _assert_one_head(db: sqlite3.Connection) -> None:
    rows = db.execute(
        "SELECT sum(state IN ('head', 'leased')), min(id) = min(CASE WHEN state IN ('head', 'leased') THEN id END)"
        " FROM notification WHERE finished_at IS NULL GROUP BY sink, order_key"
    ).fetchall()
    assert all(row == (1, 1) for row in rows)


def test_what_is_held_goes_out_at_its_time_whatever_comes_between(db: sqlite3.Connection) -> None:
    later = NOW + 3_600_000
    for event in ("a1", "a2"):
        queue(db, event, event, "other")
        outbox_queries.enqueue(db, event, ["digest"], event, NOW, held_until=later)
    outbox_queries.make_everything_due(db, "digest", NOW)
    assert lease(db, "digest") == []
    # A new process, perhaps after a wrong clock: never later than what comes now would be held.
    outbox_queries.distrust_due_times(db, "digest", NOW, 86_400_000, later - 1000)
    assert lease(db, "digest", now=later - 1001) == []
    assert ids(lease(db, "digest", now=later - 1000)) == ["a1", "a2"]
