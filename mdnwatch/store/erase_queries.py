"""What goes when something is erased: what hangs on what; plain functions over a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mdnwatch.model.erasure import Mailbox
from mdnwatch.model.event import event_id
from mdnwatch.model.event_type import EventType
from mdnwatch.store import outbox_changes, report_queries

# Of each report there may be one of these, whose id can be reckoned.
_OF_REPORTS = tuple(kind.value for kind in EventType if kind.value.startswith("report."))


class Piece(NamedTuple):
    """Where a piece of evidence stands, and where it was placed."""

    report: str
    block: int
    message: int | None
    recipient: str | None


class Deleted(NamedTuple):
    """How many events, and how many of their notifications that were still to go out."""

    events: int
    undelivered: int


def reports_about(db: sqlite3.Connection, message: int, keys: Sequence[str]) -> list[str]:
    """The reports of a message, and those that may be about it."""
    of_message = [report for (report,) in db.execute("SELECT id FROM report WHERE message = ?", (message,))]
    return list(dict.fromkeys([*of_message, *reports_waiting_for(db, keys)]))


def reports_waiting_for(db: sqlite3.Connection, keys: Sequence[str]) -> list[str]:
    """The reports that name one of the keys, and were matched with no message."""
    sql = "SELECT 1 FROM report WHERE id = ? AND message IS NULL"
    return [one for one in report_queries.reports_with_keys(db, keys) if db.execute(sql, (one,)).fetchone()]


def forget_keys(db: sqlite3.Connection, keys: Sequence[str]) -> None:
    """Take the keys out of the reports that name them, as a conversation names its earlier messages."""
    for report_id in report_queries.reports_with_keys(db, keys):
        report_queries.drop_keys(db, report_id, keys)


def delete_reports(db: sqlite3.Connection, reports: Iterable[str]) -> int:
    """Delete reports with their evidence, keys and sightings, and what was held of them; how many there were."""
    ids = [(report,) for report in reports]
    db.executemany("DELETE FROM held_reply WHERE id = ?", ids)
    return max(db.executemany("DELETE FROM report WHERE id = ?", ids).rowcount, 0)


def delete_held(db: sqlite3.Connection, hashes: Iterable[bytes]) -> int:
    """Delete the replies that are held under hashes of a message and a sender; how many there were."""
    sql = "DELETE FROM held_reply WHERE id IN (SELECT reply FROM held_reply_key WHERE hash = ?)"
    return max(db.executemany(sql, [(one,) for one in hashes]).rowcount, 0)


def delete_held_from(db: sqlite3.Connection, sender: bytes) -> int:
    """Delete the replies that are held of a sender, by the hash of the mailbox; how many there were."""
    found = [(one,) for one, known in db.execute("SELECT id, sender FROM held_reply") if sender.hex() in known]
    return max(db.executemany("DELETE FROM held_reply WHERE id = ?", found).rowcount, 0)


def events_of_message(db: sqlite3.Connection, message: int) -> list[str]:
    """The events of a message and of its recipients."""
    return [identifier for (identifier,) in db.execute("SELECT id FROM event WHERE message = ?", (message,))]


def events_of_reports(db: sqlite3.Connection, reports: Iterable[str]) -> list[str]:
    """The events that tell of reports themselves."""
    ids = (event_id(kind, report) for report in reports for kind in _OF_REPORTS)
    return [one for one in ids if db.execute("SELECT 1 FROM event WHERE id = ?", (one,)).fetchone()]


def are_under_way(db: sqlite3.Connection, events: Iterable[str]) -> bool:
    """Whether one of the events is being delivered at this moment."""
    sql = "SELECT 1 FROM notification WHERE event = ? AND state = 'leased'"
    return any(db.execute(sql, (event,)).fetchone() for event in events)


def delete_events(db: sqlite3.Connection, events: Sequence[str], now: int) -> Deleted:
    """Delete events with their notifications, none of which is under way; `now` in ms UTC."""
    undelivered, ids = 0, []
    for event in events:
        rows = db.execute("SELECT id, finished_at FROM notification WHERE event = ?", (event,)).fetchall()
        ids += [identifier for identifier, _ in rows]
        undelivered += sum(finished_at is None for _, finished_at in rows)
    # What waits behind them comes next.
    outbox_changes.drop(db, ids, now)
    db.executemany("DELETE FROM notification WHERE id = ?", [(one,) for one in ids])
    db.executemany("DELETE FROM event WHERE id = ?", [(event,) for event in events])
    return Deleted(len(events), undelivered)


def delete_message(db: sqlite3.Connection, message: int) -> None:
    """Delete a sent message with its keys and recipients."""
    db.execute("DELETE FROM sent_message WHERE id = ?", (message,))


def let_see(db: sqlite3.Connection, mailbox: Mailbox) -> None:
    """Give the statements below their function."""
    db.create_function("names_it", 1, mailbox.is_named_in, deterministic=True)


def recipients_of_mailbox(db: sqlite3.Connection, mailbox: str) -> list[tuple[int, str]]:
    """Message and address of every recipient of a mailbox."""
    sql = "SELECT message, iif(address = '', mailbox, address) FROM recipient WHERE mailbox = ?"
    return db.execute(sql, (mailbox,)).fetchall()


def pieces_naming(db: sqlite3.Connection) -> list[Piece]:
    """The evidence that names the mailbox; one pass over all of it."""
    sql = "SELECT report, block, message, recipient FROM evidence WHERE names_it(content) OR names_it(recipient)"
    return [Piece(*row) for row in db.execute(sql)]


def reports_naming(db: sqlite3.Connection) -> list[str]:
    """The reports that name the mailbox themselves, as that of their sender; one pass over all of them."""
    return [report for (report,) in db.execute("SELECT id FROM report WHERE names_it(content)")]


def events_naming(db: sqlite3.Connection) -> list[str]:
    """The events that name the mailbox; one pass over all of them."""
    return [event for (event,) in db.execute("SELECT id FROM event WHERE names_it(body) OR names_it(recipient)")]


def pieces_of(db: sqlite3.Connection, reports: Iterable[str]) -> list[Piece]:
    """All evidence of reports."""
    sql = "SELECT report, block, message, recipient FROM evidence WHERE report = ?"
    return [Piece(*row) for report in reports for row in db.execute(sql, (report,))]


def delete_pieces(db: sqlite3.Connection, pieces: Iterable[Piece]) -> None:
    """Delete evidence."""
    sql = "DELETE FROM evidence WHERE report = ? AND block = ?"
    db.executemany(sql, [(piece.report, piece.block) for piece in pieces])


def without_evidence(db: sqlite3.Connection, reports: Iterable[str]) -> list[str]:
    """Those of the reports of which no evidence is left."""
    sql = "SELECT 1 FROM evidence WHERE report = ?"
    return [report for report in dict.fromkeys(reports) if db.execute(sql, (report,)).fetchone() is None]


def delete_mailbox(db: sqlite3.Connection, mailbox: str) -> int:
    """Delete every recipient of a mailbox; how many there were."""
    return db.execute("DELETE FROM recipient WHERE mailbox = ?", (mailbox,)).rowcount


def pop_keys_naming(db: sqlite3.Connection) -> list[str]:
    """Delete the tokens that were made for the mailbox; their keys."""
    keys = [key for (key,) in db.execute("SELECT key FROM sent_key WHERE names_it(recipient)")]
    db.executemany("DELETE FROM sent_key WHERE key = ?", [(key,) for key in keys])
    return keys


def messages_from(db: sqlite3.Connection) -> list[int]:
    """The messages that the mailbox has sent; one pass over all."""
    return [number for (number,) in db.execute("SELECT id FROM sent_message WHERE names_it(from_address)")]


def is_addressed(db: sqlite3.Connection, message: int) -> bool:
    """Whether a message has an addressed recipient left."""
    sql = "SELECT 1 FROM recipient WHERE message = ? AND addressed = 1 LIMIT 1"
    return db.execute(sql, (message,)).fetchone() is not None


def clean_texts(db: sqlite3.Connection) -> None:
    """Empty the texts that name the mailbox without being about it: subjects, data of callers, words of servers."""
    db.execute("UPDATE sent_message SET subject = '' WHERE names_it(subject)")
    db.execute("UPDATE sent_message SET reference = NULL WHERE names_it(reference)")
    db.execute("UPDATE sent_message SET metadata = NULL WHERE names_it(metadata)")
    db.execute("UPDATE notification SET last_error = NULL WHERE names_it(last_error)")
    db.execute("UPDATE endpoint SET reason = '' WHERE names_it(reason)")
    db.execute("UPDATE source_outage SET reason = '' WHERE names_it(reason)")


def old_messages(db: sqlite3.Connection, before: int, limit: int) -> list[int]:
    """Settled messages that were sent before a time (ms UTC), the oldest first."""
    rows = db.execute(
        "SELECT id FROM sent_message WHERE sent_at < ? AND NOT EXISTS"
        " (SELECT 1 FROM recipient INDEXED BY recipient_open WHERE message = sent_message.id AND due_at IS NOT NULL)"
        " ORDER BY sent_at LIMIT ?",
        (before, limit),
    )
    return [number for (number,) in rows]


def forget_told(db: sqlite3.Connection, before: int, limit: int) -> int:
    """Empty the oldest events about no message that were told before a time (ms UTC) and went out; how many.

    Their ids stay, so that they are not told again.
    """
    rows = db.execute(
        "SELECT id FROM event WHERE message IS NULL AND body IS NOT NULL AND created_at < ? AND NOT EXISTS"
        " (SELECT 1 FROM notification WHERE event = event.id AND finished_at IS NULL) ORDER BY created_at LIMIT ?",
        (before, limit),
    ).fetchall()
    db.executemany("DELETE FROM notification WHERE event = ?", rows)
    db.executemany("UPDATE event SET body = NULL, recipient = NULL WHERE id = ?", rows)
    return len(rows)
