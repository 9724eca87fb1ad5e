"""What only explanations ask: how often a domain answers, what was told, where a report was seen."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from mdnwatch.model.received import Place
from mdnwatch.model.state import RecipientState
from mdnwatch.model.stored import state_from, to_ms

# Of a domain so many of the last recipients are looked at: enough for a habit, and a moment's work.
MAX_OF_DOMAIN = 1000

# As the index of migration 0012 has it, to the letter.
_DOMAIN = "substr(mailbox, length(rtrim(mailbox, replace(mailbox, '@', ''))) + 1)"


class Sighting(NamedTuple):
    """Where a report was seen; `sha256` is that of the mail there, None where not all of it was fetched."""

    place: Place
    sha256: str | None


class ToldEvent(NamedTuple):
    """An event of a message. `told` is False where it was known before anybody was to be told.

    `recipient` is None where it is about the whole message; `after_seconds` is how long a silence was when it was told;
    `expired`, whether the message is settled since its watch is over.
    """

    id: str
    type: str
    recipient: str | None
    created_at: int  # ms UTC
    told: bool
    after_seconds: int | None
    expired: bool


def asked_of_domain(
    db: sqlite3.Connection, domain: str, before: datetime, *, but: int, sees: Callable[[str], bool]
) -> Iterator[RecipientState]:
    """The states of those at a domain (as `without_sub_address` writes it) of whom a receipt was asked.

    Of the last MAX_OF_DOMAIN recipients there, without those of the message `but`, of what was sent after `before`
    (aware UTC), and of accounts that the asker does not see.
    """
    rows = db.execute(
        "SELECT sent_message.account, one.state FROM ("  # noqa: S608 - constants
        f"SELECT message, state FROM recipient WHERE {_DOMAIN} = ? AND addressed = 1 ORDER BY message DESC LIMIT ?"
        ") AS one JOIN sent_message ON sent_message.id = one.message"
        " WHERE one.message <> ? AND sent_message.sent_at <= ? AND json_extract(sent_message.requested, '$.mdn')",
        (domain, MAX_OF_DOMAIN, but, to_ms(before)),
    )
    for account, state in rows:
        if sees(account):
            yield state_from(state)


def events_of(db: sqlite3.Connection, message: int) -> Iterator[ToldEvent]:
    """The events of a message in the order in which they came about, one at a time."""
    rows = db.execute(
        "SELECT id, type, recipient, created_at, body IS NOT NULL,"
        " CASE type WHEN 'recipient.overdue' THEN json_extract(body, '$.data.overdue.after_seconds') END,"
        " CASE type WHEN 'message.settled' THEN json_extract(body, '$.data.expired') END"
        " FROM event WHERE message = ? ORDER BY number",
        (message,),
    )
    for row in rows:
        yield ToldEvent(row[0], row[1], row[2], row[3], bool(row[4]), row[5], bool(row[6]))


def sightings_of(db: sqlite3.Connection, report_id: str) -> list[Sighting]:
    """Where a report was seen, in order of the places."""
    rows = db.execute(
        "SELECT account, folder, uidvalidity, uid, name, sha256 FROM sighting WHERE report = ?", (report_id,)
    )
    return [Sighting(Place(*row[:5]), row[5]) for row in rows]


def told_of(db: sqlite3.Connection, message: int) -> Iterator[str | None]:
    """Of whom the evidence of a message tells, each once; None: of nobody in particular."""
    for (recipient,) in db.execute("SELECT DISTINCT recipient FROM evidence WHERE message = ?", (message,)):
        yield recipient


def held_for(db: sqlite3.Connection, report_id: str) -> str | None:
    """The account in which a reply waits, as keyed hashes, for a message that it answers; None where it does not."""
    row = db.execute("SELECT account FROM held_reply WHERE id = ?", (report_id,)).fetchone()
    return None if row is None else str(row[0])
