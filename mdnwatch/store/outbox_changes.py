"""What people look at and change in the outbox: find, try again, drop, tell again. Times in ms UTC."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from mdnwatch.model.notification import NotificationState as State

# What a person calls a state -> the states of a notification.
GROUPS: Mapping[str, tuple[State, ...]] = MappingProxyType(
    {
        "unfinished": (State.HEAD, State.LEASED, State.WAITING),
        "given_up": (State.GIVEN_UP,),
        "delivered": (State.DELIVERED,),
        "all": tuple(State),
    }
)

DROPPED = "dropped by hand"


@dataclass(frozen=True, slots=True)
class Found:
    """A notification with its event."""

    id: int
    event: str
    type: str
    sink: str
    state: State
    attempts: int
    due_at: int
    attempted_at: int | None
    last_error: str | None
    created_at: int
    finished_at: int | None
    body: str


_FOUND = (
    "SELECT n.id, n.event, e.type, n.sink, n.state, n.attempts, n.due_at, n.attempted_at, n.last_error,"
    " n.created_at, n.finished_at, e.body FROM notification n JOIN event e ON e.id = n.event"
)


def find(db: sqlite3.Connection, group: str, sink: str | None, after: int, limit: int) -> list[Found]:
    """Notifications of a group, of one sink or of all, with a higher id than `after`, the oldest first."""
    states = [state.value for state in GROUPS[group]]
    unfinished = " AND n.finished_at IS NULL" if group == "unfinished" else ""
    rows = db.execute(
        f"{_FOUND} WHERE n.state IN ({_marks(states)}) AND n.id > ?{unfinished}"
        + ("" if sink is None else " AND n.sink = ?")
        + " ORDER BY n.id LIMIT ?",
        (*states, after, *([] if sink is None else [sink]), limit),
    )
    return [_found(row) for row in rows]


def get(db: sqlite3.Connection, name: str) -> list[Found]:
    """The notification of an id, or all of an event."""
    column = "n.id" if name.isdecimal() else "n.event"
    return [_found(row) for row in db.execute(f"{_FOUND} WHERE {column} = ? ORDER BY n.id", (name,))]


def _found(row: Sequence[object]) -> Found:
    values = list(row)
    values[4] = State(str(values[4]))
    return Found(*values)  # type: ignore[arg-type] # as the columns are


def ids_of(db: sqlite3.Connection, sink: str | None, groups: Iterable[str], after: int, limit: int) -> list[int]:
    """The ids above `after`, of up to so many notifications of these groups that stand still, of one sink or of all."""
    states = [state.value for group in groups for state in GROUPS[group] if state is not State.LEASED]
    rows = db.execute(
        f"SELECT id FROM notification WHERE state IN ({_marks(states)}) AND id > ?"  # noqa: S608 - question marks
        + ("" if sink is None else " AND sink = ?")
        + " ORDER BY id LIMIT ?",
        (*states, after, *([] if sink is None else [sink]), limit),
    )
    return [identifier for (identifier,) in rows]


def retry(db: sqlite3.Connection, ids: Sequence[int], now: int) -> int:
    """Make notifications due now, whatever their schedule; what was finished goes out again. How many there are.

    What is under way is left alone.
    """
    due = db.executemany(
        "UPDATE notification SET due_at = ?, not_before = 0 WHERE id = ? AND state IN ('head', 'waiting')",
        [(now, identifier) for identifier in ids],
    ).rowcount
    return due + reopen(db, ids, now)


def reopen(db: sqlite3.Connection, ids: Sequence[int], now: int) -> int:
    """What was finished goes out again, as if it had never been tried; how many there are."""
    reopened = db.executemany(
        "UPDATE notification SET state = 'waiting', attempts = 0, rejections = 0, waited = 0, due_at = ?,"
        " not_before = 0, attempted_at = NULL, last_error = NULL, finished_at = NULL"
        " WHERE id = ? AND finished_at IS NOT NULL",
        [(now, identifier) for identifier in ids],
    ).rowcount
    put_in_order(db, ids)
    return reopened


def drop(db: sqlite3.Connection, ids: Sequence[int], now: int) -> int:
    """Give notifications up, except those that are under way; how many there are."""
    dropped = db.executemany(
        "UPDATE notification SET state = 'given_up', finished_at = ?, last_error = ?"
        " WHERE id = ? AND state IN ('head', 'waiting')",
        [(now, DROPPED, identifier) for identifier in ids],
    ).rowcount
    put_in_order(db, ids)
    return dropped


def put_in_order(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Of each sequence that one of these belongs to, the oldest unfinished one is the head, unless one is under way."""
    sequences = dict.fromkeys(
        row
        for identifier in ids
        for row in db.execute("SELECT sink, order_key FROM notification WHERE id = ?", (identifier,))
    )
    for sink, order_key in sequences:
        unfinished = "sink = ? AND order_key = ? AND finished_at IS NULL"
        (oldest, leased) = db.execute(
            f"SELECT min(id), sum(state = 'leased') FROM notification WHERE {unfinished}",  # noqa: S608 - a constant
            (sink, order_key),
        ).fetchone()
        if oldest is None or leased:
            continue
        db.execute(
            f"UPDATE notification SET state = CASE WHEN id = ? THEN 'head' ELSE 'waiting' END WHERE {unfinished}",  # noqa: S608 - a constant
            (oldest, sink, order_key),
        )


def told_events(
    db: sqlite3.Connection, after: int, since: int, until: int, limit: int
) -> list[tuple[int, str, str, str, str | None]]:
    """Events told from `since` until before `until`, in order: number, id, type, body, order key where there is one."""
    if after == 0:
        (first,) = db.execute("SELECT min(number) FROM event WHERE created_at >= ?", (since,)).fetchone()
        after = (first or 1) - 1
    return db.execute(
        "SELECT e.number, e.id, e.type, e.body, (SELECT min(order_key) FROM notification WHERE event = e.id)"
        " FROM event e WHERE e.number > ? AND e.created_at >= ? AND e.created_at < ? AND e.body IS NOT NULL"
        " ORDER BY e.number LIMIT ?",
        (after, since, until, limit),
    ).fetchall()


def finished_ids(db: sqlite3.Connection, event: str, sinks: Sequence[str]) -> list[int]:
    """The notifications of an event for these sinks that are finished."""
    rows = db.execute(
        f"SELECT id FROM notification WHERE event = ? AND finished_at IS NOT NULL AND sink IN ({_marks(sinks)})",  # noqa: S608 - question marks
        (event, *sinks),
    )
    return [identifier for (identifier,) in rows]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
