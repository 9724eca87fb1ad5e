"""Notifications and endpoints in the database; plain functions over a connection. Times in ms UTC."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mdnwatch.model.notification import NotificationState
from mdnwatch.model.retry import Attempt, Endpoint, Step


@dataclass(frozen=True, slots=True)
class SinkBacklog:
    """What waits for one sink. `endpoint` is None until the sink was configured in a run of the outbox."""

    sink: str
    waiting: int
    oldest: int | None  # when the oldest unfinished notification was queued
    endpoint: Endpoint | None


def enqueue(  # noqa: PLR0913 - the columns of a row
    db: sqlite3.Connection,
    event_id: str,
    sinks: Iterable[str],
    order_key: str,
    now: int,
    *,
    held_until: int | None = None,
) -> int:
    """Queue an event for sinks, in the transaction that keeps the event; queued already, it stays as it is.

    Says for how many it was queued.

    Events of one `order_key` reach a sink one after the other, in the order in which they were queued. One that is
    held goes out at that time, whatever happens to the endpoint meanwhile.
    """
    due_at, not_before = (now, 0) if held_until is None else (held_until, held_until)
    queued = 0
    for sink in sinks:
        queued += db.execute(
            "INSERT INTO notification (event, sink, order_key, state, due_at, not_before, created_at)"
            " VALUES (:event, :sink, :order_key, CASE WHEN EXISTS"
            " (SELECT 1 FROM notification WHERE sink = :sink AND order_key = :order_key AND finished_at IS NULL)"
            " THEN 'waiting' ELSE 'head' END, :due_at, :not_before, :now) ON CONFLICT (event, sink) DO NOTHING",
            {
                "event": event_id,
                "sink": sink,
                "order_key": order_key,
                "due_at": due_at,
                "not_before": not_before,
                "now": now,
            },
        ).rowcount
    return queued


def lease(  # noqa: PLR0913 - what an attempt is made of
    db: sqlite3.Connection, sink: str, limit: int, now: int, *, epoch: int, delay: Callable[[int], int]
) -> list[Attempt]:
    """Write down the attempts that are about to be made: the due heads of a sink, the longest due first.

    `delay` gives the milliseconds until the next attempt from the number of rejections; it counts when no
    outcome is ever recorded.
    """
    rows = db.execute(
        "SELECT n.id, n.order_key, n.event, e.type, e.body, n.attempts, n.rejections, n.waited,"
        " n.attempted_at, n.due_at FROM notification n JOIN event e ON e.id = n.event"
        " WHERE n.sink = ? AND n.state = 'head' AND n.due_at <= ?"
        " ORDER BY n.due_at, n.id LIMIT ?",
        (sink, now, limit),
    ).fetchall()
    due_at = {rejections: now + delay(rejections + 1) for rejections in {row[6] for row in rows}}
    for rejections, due in due_at.items():
        ids = _padded([row[0] for row in rows if row[6] == rejections])
        db.execute(
            "UPDATE notification SET state = 'leased', attempts = attempts + 1, attempted_at = ?, due_at = ?"  # noqa: S608 - question marks
            f" WHERE id IN ({_marks(ids)})",
            (now, due, *ids),
        )
    return [
        Attempt(
            id=identifier,
            sink=sink,
            order_key=order_key,
            event_id=event,
            event_type=kind,
            body=body,
            number=made + 1,
            rejections=rejections,
            waited=waited,
            previous_at=previous_at,
            was_due_at=was_due_at,
            due_at=due_at[rejections],
            epoch=epoch,
        )
        for identifier, order_key, event, kind, body, made, rejections, waited, previous_at, was_due_at in rows
    ]


def withdraw(db: sqlite3.Connection, attempts: Iterable[Attempt]) -> None:
    """Attempts that were written down will not be made: as if they had not been leased."""
    db.executemany(
        "UPDATE notification SET state = 'head', attempts = ?, attempted_at = ?, due_at = ? WHERE id = ?",
        [(attempt.number - 1, attempt.previous_at, attempt.was_due_at, attempt.id) for attempt in attempts],
    )


def _padded(ids: Sequence[int]) -> list[int]:
    """The ids, the last one repeated up to a power of two: so few statements have to be prepared."""
    return [*ids, *[ids[-1]] * ((1 << (len(ids) - 1).bit_length()) - len(ids))]


def _marks(values: Sequence[int]) -> str:
    return ", ".join("?" * len(values))


def next_due(db: sqlite3.Connection, sink: str) -> int | None:
    """When the next head of a sink is due; None where there is none."""
    row = db.execute(
        "SELECT due_at FROM notification WHERE sink = ? AND state = 'head' ORDER BY due_at, id LIMIT 1", (sink,)
    ).fetchone()
    return None if row is None else int(row[0])


def settle(db: sqlite3.Connection, ended: Sequence[tuple[Attempt, int, Step]], now: int) -> None:
    """Record what became of attempts, each with the time at which it really began.

    Where a notification is finished, the next of its order key is the head. A few statements do for all of them:
    with each one the writer thread gives up the interpreter's lock, and has to wait to get it back.
    """
    delivered = [attempt.id for attempt, _, step in ended if step.state is NotificationState.DELIVERED]
    if delivered:
        ids = _padded(delivered)
        db.execute(
            "UPDATE notification SET state = 'delivered', last_error = NULL, finished_at = ?"  # noqa: S608 - question marks
            f" WHERE id IN ({_marks(ids)})",
            (now, *ids),
        )
    failed = [one for one in ended if one[2].state is not NotificationState.DELIVERED]
    db.executemany(
        "UPDATE notification SET state = ?, due_at = ?, not_before = ?, rejections = ?, waited = ?, last_error = ?,"
        " attempted_at = ?, finished_at = ? WHERE id = ?",
        [(*_columns(step), began_at, _finished_at(step, now), attempt.id) for attempt, began_at, step in failed],
    )
    given_up = [attempt.id for attempt, _, step in failed if step.state is NotificationState.GIVEN_UP]
    if delivered or given_up:
        _promote(db, _padded([*delivered, *given_up]), now)


def _columns(step: Step) -> tuple[str | int | None, ...]:
    return step.state.value, step.due_at, step.not_before, step.rejections, step.waited, step.last_error


def _finished_at(step: Step, now: int) -> int | None:
    return now if step.state is NotificationState.GIVEN_UP else None


def _promote(db: sqlite3.Connection, finished: Sequence[int], now: int) -> None:
    # What waited is due, whatever the clock said when it was queued.
    db.execute(
        "UPDATE notification SET state = 'head', due_at = CASE WHEN due_at > ? THEN ? ELSE due_at END"  # noqa: S608 - question marks
        " WHERE state = 'waiting' AND id IN (SELECT (SELECT min(next.id) FROM notification next"
        " WHERE next.sink = done.sink AND next.order_key = done.order_key AND next.finished_at IS NULL)"
        f" FROM notification done WHERE done.id IN ({_marks(finished)}))",
        (now, now, *finished),
    )


def release_leases(db: sqlite3.Connection) -> int:
    """Attempts of an earlier process are over; each is due when its attempt said. How many there were."""
    return db.execute("UPDATE notification SET state = 'head' WHERE state = 'leased'").rowcount


def make_everything_due(db: sqlite3.Connection, sink: str, now: int) -> None:
    """The endpoint is back: what waits for its schedule goes now, and the time it has not waited is given back."""
    db.execute(
        "UPDATE notification SET waited = waited - (due_at - :now), due_at = :now"
        " WHERE sink = :sink AND state = 'head' AND due_at > :now AND not_before <= :now",
        {"sink": sink, "now": now},
    )


def distrust_due_times(
    db: sqlite3.Connection, sink: str, now: int, longest_delay: int, held_until: int | None = None
) -> None:
    """The clock may have been wrong while no process ran: nothing is due further off than a delay can be.

    What was never tried is due now, or at `held_until` where the sink holds what comes now until then.
    """
    db.execute(
        "UPDATE notification SET due_at = CASE WHEN attempts = 0 THEN :first ELSE :latest END,"
        " not_before = CASE WHEN attempts = 0 THEN :not_before ELSE 0 END"
        " WHERE sink = :sink AND state = 'head' AND due_at > CASE WHEN attempts = 0 THEN :first ELSE :latest END"
        " AND due_at > :now",
        {
            "sink": sink,
            "now": now,
            "latest": now + longest_delay,
            "first": held_until or now,
            "not_before": held_until or 0,
        },
    )


def set_back(db: sqlite3.Connection, sink: str, now: int, by: int) -> None:
    """The clock was set back by so many milliseconds to `now`: what is due later is due as much earlier."""
    db.execute(
        "UPDATE notification SET due_at = due_at - :by, not_before = not_before - :by"
        " WHERE sink = :sink AND state = 'head' AND due_at > :now",
        {"sink": sink, "now": now, "by": by},
    )


def load_endpoints(db: sqlite3.Connection) -> dict[str, Endpoint]:
    """All endpoints by the name of their sink, also of sinks that are no longer configured."""
    rows = db.execute(
        "SELECT sink, identity, failures, down_since, next_probe_at, announced, disabled_at, reason FROM endpoint"
    )
    return {
        sink: Endpoint(sink, identity, failures, down_since, next_probe_at, bool(announced), disabled_at, reason)
        for sink, identity, failures, down_since, next_probe_at, announced, disabled_at, reason in rows
    }


def save_endpoint(db: sqlite3.Connection, endpoint: Endpoint) -> None:
    """Keep an endpoint as it is now."""
    db.execute(
        "INSERT INTO endpoint (sink, identity, failures, down_since, next_probe_at, announced, disabled_at, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sink) DO UPDATE SET identity = excluded.identity,"
        " failures = excluded.failures, down_since = excluded.down_since, next_probe_at = excluded.next_probe_at,"
        " announced = excluded.announced, disabled_at = excluded.disabled_at, reason = excluded.reason",
        (
            endpoint.sink,
            endpoint.identity,
            endpoint.failures,
            endpoint.down_since,
            endpoint.next_probe_at,
            int(endpoint.announced),
            endpoint.disabled_at,
            endpoint.reason,
        ),
    )


def backlog(db: sqlite3.Connection) -> list[SinkBacklog]:
    """What waits, per sink and by name; one pass over the index of unfinished notifications."""
    endpoints = load_endpoints(db)
    waiting: dict[str, tuple[int, int | None]] = {}
    for sink, count, first in db.execute(
        "SELECT sink, count(*), min(id) FROM notification WHERE finished_at IS NULL GROUP BY sink"
    ).fetchall():
        (created_at,) = db.execute("SELECT created_at FROM notification WHERE id = ?", (first,)).fetchone()
        waiting[sink] = (count, created_at)
    return [
        SinkBacklog(sink, *waiting.get(sink, (0, None)), endpoints.get(sink)) for sink in sorted({*endpoints, *waiting})
    ]
