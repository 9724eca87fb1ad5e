"""Events in the database; plain functions over a connection, called in the transaction of what they tell."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from mdnwatch.model.authenticity import Grade
from mdnwatch.model.event import Event
from mdnwatch.model.event_type import EventType
from mdnwatch.model.stored import to_ms

# Reports that could not be placed are told one by one up to this many an hour, account and type: a person
# can look at so many, and backscatter comes by the thousand.
MAX_REPORT_EVENTS_PER_HOUR = 20


def is_known(db: sqlite3.Connection, identifier: str) -> bool:
    """Whether the event has happened already."""
    return db.execute("SELECT 1 FROM event WHERE id = ?", (identifier,)).fetchone() is not None


def insert_event(  # noqa: PLR0913 - the columns of a row
    db: sqlite3.Connection,
    event: Event,
    now: datetime,
    *,
    message: int | None = None,
    recipient: str | None = None,
    sequence: int | None = None,
    silent: bool = False,
) -> bool:
    """Keep an event; False where it has happened already. A silent one is told to nobody, now or later."""
    # One row by its rowid: SQLite opens a savepoint of its own for what may change several and fail in the middle
    # (or for RETURNING), and the end of that costs the more the more the batch has written.
    db.execute("UPDATE event_counter SET last = last + 1 WHERE rowid = 1")
    body = None if silent else event.body
    cursor = db.execute(
        "INSERT INTO event (id, type, message, recipient, sequence, created_at, body, number, grade)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT last FROM event_counter), ?) ON CONFLICT (id) DO NOTHING",
        (event.id, event.type.value, message, recipient, sequence, to_ms(now), body, event.grade),
    )
    return cursor.rowcount == 1


def sequence_if_better(db: sqlite3.Connection, identifier: str, grade: Grade) -> int | None:
    """The sequence of a told event that rests on evidence of a worse grade; None for any other."""
    sql = "SELECT grade, sequence FROM event WHERE id = ? AND body IS NOT NULL AND grade IS NOT NULL"
    row = db.execute(sql, (identifier,)).fetchone()
    return None if row is None or Grade(row[0]).at_least(grade) else int(row[1])


def replace_body(db: sqlite3.Connection, event: Event) -> None:
    """Let a known event rest on other evidence; what is delivered already stays as it is."""
    db.execute("UPDATE event SET body = ?, grade = ? WHERE id = ?", (event.body, event.grade, event.id))


def last_number(db: sqlite3.Connection) -> int:
    """The last number that was given to an event; 0 before the first."""
    (number,) = db.execute("SELECT last FROM event_counter WHERE rowid = 1").fetchone()
    return int(number)


def events_after(db: sqlite3.Connection, number: int, limit: int) -> list[tuple[int, str]]:
    """The number and the body of events that were told after one, the oldest first."""
    sql = "SELECT number, body FROM event WHERE number > ? AND body IS NOT NULL ORDER BY number LIMIT ?"
    return db.execute(sql, (number, limit)).fetchall()


def count_in_hour(db: sqlite3.Connection, kind: EventType, account: str, hour: int) -> int:
    """Count one more event of a type in an hour (hours since 1970, UTC); how many there are now."""
    (count,) = db.execute(
        "INSERT INTO event_rate (type, account, hour, count) VALUES (?, ?, ?, 1)"
        " ON CONFLICT (type, account, hour) DO UPDATE SET count = event_rate.count + 1 RETURNING count",
        (kind.value, account, hour),
    ).fetchone()
    return int(count)


def forget_rates(db: sqlite3.Connection, now: datetime) -> None:
    """Drop the counts of past hours, but for the last: a clock may be set back."""
    hour = int(now.timestamp()) // 3600
    db.execute("DELETE FROM event_rate WHERE hour < ?", (hour - 1,))
