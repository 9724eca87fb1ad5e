"""Outages that were announced and are not over; plain functions over a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime

from mdnwatch.errors import Cause
from mdnwatch.model.outage import Outage, Trouble
from mdnwatch.model.stored import to_ms


def load_outages(db: sqlite3.Connection) -> list[Outage]:
    """All of them, by account."""
    rows = db.execute("SELECT account, since, cause, reason FROM source_outage ORDER BY account").fetchall()
    return [
        Outage(account, datetime.fromtimestamp(since / 1000, UTC), Trouble(_cause(cause), reason), announced=True)
        for account, since, cause, reason in rows
    ]


def save_outage(db: sqlite3.Connection, outage: Outage) -> None:
    """Keep an outage that is announced in this transaction."""
    db.execute(
        "INSERT INTO source_outage (account, since, cause, reason) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (account) DO UPDATE SET since = excluded.since, cause = excluded.cause, reason = excluded.reason",
        (outage.account, to_ms(outage.since), outage.trouble.cause.value, outage.trouble.reason),
    )


def forget_outages(db: sqlite3.Connection, accounts: Iterable[str]) -> None:
    """These accounts are back, or no longer watched."""
    db.executemany("DELETE FROM source_outage WHERE account = ?", [(account,) for account in accounts])


def _cause(value: str) -> Cause:
    """A later version may have known more of them."""
    return Cause(value) if value in set(Cause) else Cause.OTHER
