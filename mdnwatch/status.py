"""What is known: of the whole, of a message or of an address; read from the database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from mdnwatch.event_words import words_of
from mdnwatch.model.address import without_case, without_sub_address
from mdnwatch.model.authenticity import Grade, Graded
from mdnwatch.model.correlation import Rung, message_id_key
from mdnwatch.model.event import settled_event_id, state_facts, times_facts
from mdnwatch.model.evidence import Evidence
from mdnwatch.model.stored import from_ms
from mdnwatch.store import event_queries, outbox_queries, report_queries, sent_queries
from mdnwatch.store.outbox_queries import SinkBacklog
from mdnwatch.store.sent_queries import StoredMessage, StoredRecipient
from mdnwatch.store.sqlite import DATABASE_NAME, connect_for_reading
from mdnwatch.visibility import ALL, Visible

# A person reads so many; programs ask for one message at a time.
MAX_MESSAGES = 50
MAX_EVENTS = 10
# Among so many the last ones are looked for that somebody may know of who does not see every account.
MAX_LOOKED_AT = 500

Facts = dict[str, Any]


def stored(state_dir: Path, query: str | None) -> Facts:
    """What the database of a `state_dir` holds while no daemon runs. Raises StoreError where there is none."""
    with closing(connect_for_reading(state_dir / DATABASE_NAME)) as db:
        facts = overview(db) if query is None else about(db, query)
    return {"running": False, **facts}


def overview(db: sqlite3.Connection, sees: Visible = ALL) -> Facts:
    """How much is known, how it was matched, and what was told last (of what the asker sees)."""
    return {
        "sent_messages": _count(db, "SELECT count(*) FROM sent_message"),
        "reports": dict(db.execute("SELECT outcome, count(*) FROM report GROUP BY outcome ORDER BY outcome")),
        "rungs": {
            **dict.fromkeys(Rung, 0),
            **dict(db.execute("SELECT rung, count(*) FROM report WHERE rung IS NOT NULL GROUP BY rung")),
        },
        "grades": _grades(db),
        "events": _count(db, "SELECT count(*) FROM event WHERE body IS NOT NULL"),
        "sinks": [_sink(backlog) for backlog in outbox_queries.backlog(db)],
        "last_events": [_last_event(*row) for row in _last_events(db, sees)],
    }


def _grades(db: sqlite3.Connection) -> dict[str, int]:
    """How much of the matched evidence has each grade, all of them named."""
    found = dict(db.execute("SELECT grade, count(*) FROM evidence WHERE grade IS NOT NULL GROUP BY grade"))
    return {grade.value: found.get(grade.value, 0) for grade in Grade}


def _sink(backlog: SinkBacklog) -> Facts:
    endpoint = backlog.endpoint
    down = endpoint is not None and endpoint.down_since is not None
    disabled = endpoint is not None and endpoint.disabled_at is not None
    return {
        "name": backlog.sink,
        "state": "disabled" if disabled else "down" if down else "up",
        "waiting": backlog.waiting,
        "oldest": _time(from_ms(backlog.oldest)),
        "down_since": _time(from_ms(endpoint.down_since)) if endpoint else None,
        "next_probe_at": _time(from_ms(endpoint.next_probe_at)) if endpoint else None,
        "reason": endpoint.reason if endpoint and (down or disabled) else "",
    }


def about(db: sqlite3.Connection, query: str, sees: Visible = ALL) -> Facts:
    """What is known of a Message-ID (with or without angle brackets) or an address; which one is found out.

    `messages` is empty where nothing of that name was sent; `note` says so in words. `waiting_reports` counts
    the reports that name the Message-ID while no copy of the message is known.
    """
    query = query.strip()
    key = message_id_key(query)
    messages = messages_named(db, key)
    found = [message_facts(db, message, sent_queries.recipients_of(db, message.id)) for message in messages]
    waiting = 0 if found or sees is not ALL else len(report_queries.reports_with_keys(db, [key]))
    if not found and not waiting:
        found = list(_of_address(db, query))
    found = [message for message in found if sees.account(message["account"])]
    facts: Facts = {"query": query, "messages": found, "waiting_reports": waiting}
    if not found:
        facts["note"] = _nothing_found(query, waiting)
    return facts


def messages_named(db: sqlite3.Connection, key: str) -> list[StoredMessage]:
    """The sent messages that bear a key of model.correlation, in the order in which they became known."""
    return [sent_queries.load_message(db, n) for n in sorted(sent_queries.find_by_keys(db, [key]).get(key, ()))]


def _nothing_found(query: str, waiting: int) -> str:
    if waiting:
        return f"{waiting} report(s) name this Message-ID, but no copy of the message was found in a Sent folder yet"
    return f"nothing is known of {query}: no copy with this Message-ID and none to this address was found"


def _of_address(db: sqlite3.Connection, address: str) -> Iterator[Facts]:
    for recipient in recipients_called(db, address):
        yield message_facts(db, sent_queries.load_message(db, recipient.message), [recipient])


def recipients_called(db: sqlite3.Connection, address: str) -> Iterator[StoredRecipient]:
    """The recipients whom an address means, of the latest messages first; of no more than MAX_MESSAGES."""
    wanted = without_case(address)
    for recipient in sent_queries.recipients_with_mailbox(db, address, MAX_MESSAGES):
        known = recipient.address
        # A sub-address is another address to the one who asks: "bob+a" does not tell of "bob+b".
        if wanted in {without_case(known), without_sub_address(known)}:
            yield recipient


def message_facts(db: sqlite3.Connection, message: StoredMessage, recipients: Iterable[StoredRecipient]) -> Facts:
    """What is known of a message and of these recipients of it."""
    return {
        "message_id": message.message_id,
        "account": message.account,
        "from": message.from_address,
        "subject": message.subject,
        "sent_at": _time(message.sent_at),
        "reference": message.reference,
        "requested": {"mdn": message.requested.mdn, "dsn": list(message.requested.dsn)},
        "settled": event_queries.is_known(db, settled_event_id(message)),
        "recipients": [recipient_facts(db, recipient) for recipient in recipients],
    }


def recipient_facts(
    db: sqlite3.Connection, recipient: StoredRecipient, evidence: Iterable[tuple[Evidence, Graded]] | None = None
) -> Facts:
    """What is known of a recipient, with all the evidence about it, or with this."""
    state = recipient.state
    if evidence is None:
        evidence = report_queries.evidence_of(db, recipient.message, recipient.address)
    return {
        "address": recipient.address,
        "addressed": recipient.addressed,
        **state_facts(state),
        "events": recipient.sequence,
        "members_failed": list(state.members),
        "handed_over_to": list(state.handed_over_to),
        "reasons": list(state.reasons),
        "warnings": list(state.warnings),
        "times": times_facts(state, _time),
        "evidence": [_evidence(db, piece, graded) for piece, graded in evidence],
    }


def _evidence(db: sqlite3.Connection, piece: Evidence, graded: Graded) -> Facts:
    (rung,) = db.execute("SELECT rung FROM report WHERE id = ?", (piece.report_id,)).fetchone()
    return {
        "report_id": piece.report_id,
        "block": piece.block,
        "kind": piece.kind.value,
        "claimed_at": _time(piece.claimed_at),
        "observed_at": _time(piece.observed_at),
        "rung": rung,
        "grade": graded.grade.value,
        "grade_reasons": list(graded.reasons),
        **piece_facts(piece),
    }


def piece_facts(piece: Evidence) -> Facts:
    """What a piece of evidence says beside its kind and times."""
    return {
        "reason": piece.reason,
        "member": piece.member,
        "handed_over_to": piece.handed_over_to,
        "warnings": list(piece.warnings),
        "retry_until": _time(piece.retry_until),
        "return_date": piece.return_date.isoformat() if piece.return_date else None,
        "fields": dict(piece.details),
    }


def _last_events(db: sqlite3.Connection, sees: Visible) -> list[tuple[str, str, int, str]]:
    rows = db.execute(
        "SELECT id, type, created_at, body FROM event WHERE body IS NOT NULL ORDER BY number DESC LIMIT ?",
        (MAX_EVENTS if sees is ALL else MAX_LOOKED_AT,),
    )
    return [row for row in rows if sees.event(json.loads(row[3]))][:MAX_EVENTS]


def _last_event(identifier: str, kind: str, created_at: int, body: str) -> Facts:
    event = json.loads(body)
    words, data = words_of(event), event["data"]
    return {
        "id": identifier,
        "type": kind,
        "at": _time(from_ms(created_at)),
        "message_id": data.get("message", {}).get("message_id") or data.get("message_id"),
        "about": words.who or None,
        "what": words.what,
        "why": words.why,
        "subject": words.subject,
        "grade": words.grade,
    }


def _count(db: sqlite3.Connection, sql: str) -> int:
    return int(db.execute(sql).fetchone()[0])


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")
