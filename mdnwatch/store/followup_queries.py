"""When each recipient's silence is to be looked at; plain functions over a connection."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from mdnwatch.model.stored import dump, to_ms
from mdnwatch.store.sent_queries import StoredRecipient, kept, load_recipient

_WATCH = "watch"  # the configuration under which the times were reckoned
_ONE = "message = ? AND mailbox = ? AND address = ?"


def due(db: sqlite3.Connection, now: datetime, limit: int) -> list[StoredRecipient]:
    """The recipients whose time has come, the longest overdue first."""
    rows = db.execute(
        "SELECT message, iif(address = '', mailbox, address) FROM recipient WHERE due_at <= ? ORDER BY due_at LIMIT ?",
        (to_ms(now), limit),
    ).fetchall()
    found = (load_recipient(db, message, address) for message, address in rows)
    return [recipient for recipient in found if recipient is not None]


def look_again(db: sqlite3.Connection, recipient: StoredRecipient, at: datetime) -> None:
    """Keep when to look next."""
    db.execute(
        f"UPDATE recipient SET due_at = ? WHERE {_ONE}",  # noqa: S608 - constants
        (to_ms(at), recipient.message, *kept(recipient.address)),
    )


def close(db: sqlite3.Connection, recipient: StoredRecipient) -> bool:
    """Look no more; True where this was the last recipient of its message that was still looked at."""
    closed = db.execute(
        f"UPDATE recipient SET due_at = NULL WHERE {_ONE} AND due_at IS NOT NULL",  # noqa: S608 - constants
        (recipient.message, *kept(recipient.address)),
    )
    if closed.rowcount == 0:
        return False
    # The primary key begins with the message, too, and would be walked over all that are closed.
    sql = "SELECT 1 FROM recipient INDEXED BY recipient_open WHERE message = ? AND due_at IS NOT NULL LIMIT 1"
    return db.execute(sql, (recipient.message,)).fetchone() is None


def reckon_anew(db: sqlite3.Connection, watch: object, now: datetime) -> None:
    """Have everything looked at where another configuration than this reckoned the times."""
    value = dump(repr(watch)).encode()
    if db.execute("SELECT 1 FROM setting WHERE name = ? AND value = ?", (_WATCH, value)).fetchone():
        return
    db.execute(
        "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (_WATCH, value),
    )
    db.execute("UPDATE recipient SET due_at = ? WHERE due_at > ?", (to_ms(now), to_ms(now)))
