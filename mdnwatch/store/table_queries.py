"""Recipients and their states as rows of a table, a page at a time; plain functions over a connection."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

# A message, the mailbox and the address of a recipient, as the primary key has them.
Cursor = tuple[int, str, str]
START: Cursor = (0, "", "")

_ADDRESS = "iif(address = '', mailbox, address)"


class Row(NamedTuple):
    """A recipient of a message with its state as JSON; `grades` are those of its evidence, divided by commas."""

    message_id: str
    account: str
    from_address: str
    subject: str
    reference: str | None
    sent_at: int | None  # ms UTC
    requested: str  # JSON
    address: str
    addressed: int
    sequence: int
    state: str | None
    grades: str | None


def page(
    db: sqlite3.Connection, after: Cursor, limit: int, since: int | None, account: str | None
) -> list[tuple[Cursor, Row]]:
    """The recipients after a cursor, each with its own: of what was sent since then (ms UTC), and by an account."""
    rows: list[Any] = db.execute(
        "SELECT recipient.message, mailbox, address,"  # noqa: S608 - constants
        f" message_id, account, from_address, subject, reference, sent_at, requested, {_ADDRESS}, addressed, sequence,"
        " state, (SELECT group_concat(DISTINCT grade) FROM evidence"
        f"  WHERE evidence.message = recipient.message AND evidence.recipient = {_ADDRESS})"
        " FROM recipient JOIN sent_message ON sent_message.id = recipient.message"
        " WHERE (recipient.message, mailbox, address) > (?, ?, ?)"
        " AND (? IS NULL OR sent_at >= ?) AND (? IS NULL OR account = ?)"
        " ORDER BY recipient.message, mailbox, address LIMIT ?",
        (*after, since, since, account, account, limit),
    ).fetchall()
    return [((row[0], row[1], row[2]), Row(*row[3:])) for row in rows]
