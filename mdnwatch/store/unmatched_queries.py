"""Reports of which is to be told that their message is not known; plain functions over a connection."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from mdnwatch.model.stored import StoredReport, from_ms, to_ms
from mdnwatch.store import report_queries

# A shorter beginning of a Message-ID is that of many.
MIN_BEGINNING = 12  # characters


def watched_since(db: sqlite3.Connection, account: str, now: datetime) -> datetime:
    """Since when an account is watched; from now on, where it was not before."""
    db.execute("INSERT INTO account_watch (account, since) VALUES (?, ?) ON CONFLICT DO NOTHING", (account, to_ms(now)))
    (since,) = db.execute("SELECT since FROM account_watch WHERE account = ?", (account,)).fetchone()
    return from_ms(since) or now


def due(
    db: sqlite3.Connection, account: str, seen_before: datetime, limit: int
) -> list[tuple[StoredReport, datetime, tuple[str, ...]]]:
    """The oldest reports of an account that were first seen before a time: with that time, and whom they are about."""
    rows = db.execute(
        "SELECT id, first_seen FROM report WHERE tell_unmatched = 1 AND account = ? AND first_seen < ?"
        " ORDER BY first_seen LIMIT ?",
        (account, to_ms(seen_before), limit),
    ).fetchall()
    return [
        (report_queries.load_report(db, report_id), from_ms(first_seen) or seen_before, _about(db, report_id))
        for report_id, first_seen in rows
    ]


def _about(db: sqlite3.Connection, report_id: str) -> tuple[str, ...]:
    named = [(*piece.original, *piece.final)[:1] for piece, _ in report_queries.load_evidence(db, report_id)]
    return tuple(dict.fromkeys(address for addresses in named for address in addresses))


def settle(db: sqlite3.Connection, report_id: str) -> None:
    """Nothing more is to be told of a report."""
    db.execute("UPDATE report SET tell_unmatched = 0 WHERE id = ?", (report_id,))


def beginning_with(db: sqlite3.Connection, message_id: str, limit: int) -> list[tuple[str, str]]:
    """Message-ID and From of the sent messages whose ids begin with this one: it may have been cut on its way."""
    beginning = message_id.rstrip(">")
    if len(beginning) < MIN_BEGINNING:
        return []
    return db.execute(
        "SELECT message_id, from_address FROM sent_message WHERE message_id > ? AND message_id < ?"
        " ORDER BY message_id, from_address LIMIT ?",
        (beginning, beginning + "\U0010ffff", limit),
    ).fetchall()
