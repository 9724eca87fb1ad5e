"""What is known: of the whole, of a message or of an address; read from the database, told as JSON or to people."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from mdnwatch.event_words import when
from mdnwatch.model.address import without_case, without_sub_address
from mdnwatch.model.correlation import message_id_key
from mdnwatch.model.event import settled_event_id, state_facts, times_facts
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

BAR_WIDTH = 30  # characters

# Of a report's fields those that tell a person why; all of them stand in the JSON.
TELLING_FIELDS = ("status", "diagnostic_code", "will_retry_until", "reportingUA", "error")

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
        "rungs": dict(
            db.execute("SELECT rung, count(*) FROM report WHERE rung IS NOT NULL GROUP BY rung ORDER BY rung")
        ),
        "events": _count(db, "SELECT count(*) FROM event WHERE body IS NOT NULL"),
        "sinks": [_sink(backlog) for backlog in outbox_queries.backlog(db)],
        "last_events": [_last_event(*row) for row in _last_events(db, sees)],
    }


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
    messages = [sent_queries.load_message(db, number) for number in sorted(_numbers(db, key))]
    found = [_message(db, message, sent_queries.recipients_of(db, message.id)) for message in messages]
    waiting = 0 if found or sees is not ALL else len(report_queries.reports_with_keys(db, [key]))
    if not found and not waiting:
        found = list(_of_address(db, query))
    found = [message for message in found if sees.account(message["account"])]
    facts: Facts = {"query": query, "messages": found, "waiting_reports": waiting}
    if not found:
        facts["note"] = _nothing_found(query, waiting)
    return facts


def _numbers(db: sqlite3.Connection, key: str) -> frozenset[int]:
    return sent_queries.find_by_keys(db, [key]).get(key, frozenset())


def _nothing_found(query: str, waiting: int) -> str:
    if waiting:
        return f"{waiting} report(s) name this Message-ID, but no copy of the message was found in a Sent folder yet"
    return f"nothing is known of {query}: no copy with this Message-ID and none to this address was found"


def _of_address(db: sqlite3.Connection, address: str) -> Iterator[Facts]:
    wanted = without_case(address)
    for recipient in sent_queries.recipients_with_mailbox(db, address, MAX_MESSAGES):
        known = recipient.address
        # A sub-address is another address to the one who asks: "bob+a" does not tell of "bob+b".
        if wanted in {without_case(known), without_sub_address(known)}:
            yield _message(db, sent_queries.load_message(db, recipient.message), [recipient])


def _message(db: sqlite3.Connection, message: StoredMessage, recipients: list[StoredRecipient]) -> Facts:
    return {
        "message_id": message.message_id,
        "account": message.account,
        "from": message.from_address,
        "subject": message.subject,
        "sent_at": _time(message.sent_at),
        "reference": message.reference,
        "requested": {"mdn": message.requested.mdn, "dsn": list(message.requested.dsn)},
        "settled": event_queries.is_known(db, settled_event_id(message)),
        "recipients": [_recipient(db, recipient) for recipient in recipients],
    }


def _recipient(db: sqlite3.Connection, recipient: StoredRecipient) -> Facts:
    state = recipient.state
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
        "evidence": list(_evidence(db, recipient)),
    }


def _evidence(db: sqlite3.Connection, recipient: StoredRecipient) -> Iterator[Facts]:
    for piece, graded in report_queries.evidence_of(db, recipient.message, recipient.address):
        (rung,) = db.execute("SELECT rung FROM report WHERE id = ?", (piece.report_id,)).fetchone()
        yield {
            "report_id": piece.report_id,
            "block": piece.block,
            "kind": piece.kind.value,
            "claimed_at": _time(piece.claimed_at),
            "observed_at": _time(piece.observed_at),
            "rung": rung,
            "grade": graded.grade.value,
            "grade_reasons": list(graded.reasons),
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
    data = json.loads(body)["data"]
    # An event about a report names the recipient and the message by a plain text, or not at all.
    recipient, message = data.get("recipient"), data.get("message", {})
    address = recipient["address"] if isinstance(recipient, dict) else recipient
    return {
        "id": identifier,
        "type": kind,
        "at": _time(from_ms(created_at)),
        "message_id": message.get("message_id") or data.get("message_id"),
        "about": address or data.get("sink") or data.get("account"),
    }


def _count(db: sqlite3.Connection, sql: str) -> int:
    return int(db.execute(sql).fetchone()[0])


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")


def for_people(facts: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a status for a person at a terminal."""
    if "messages" in facts:
        yield from _lines_about(facts)
        return
    for account in facts.get("accounts", ()):
        yield _account_line(account, facts.get("now"))
        for folder in account.get("folders", ()):
            yield f"  {folder['name']}: {folder['note'] or _agreement(folder['last_agreement'], facts.get('now'))}"
            if folder["backfill"]:
                yield f"    {progress(**folder['backfill'])}"
    for problem in facts.get("reload_problems", ()):
        yield f"the changed configuration was refused, the old one goes on: {problem}"
    for sink in facts.get("sinks", ()):
        yield _sink_line(sink)
    yield f"sent messages known: {facts['sent_messages']}"
    yield "reports: " + (", ".join(f"{n} {outcome}" for outcome, n in facts["reports"].items()) or "none yet")
    for event in facts["last_events"]:
        words = [event["at"], event["type"], event["about"], event["message_id"]]
        yield "  " + "  ".join(word for word in words if word)
    if "note" in facts:
        yield str(facts["note"])


def _account_line(account: Mapping[str, Any], now: str | None) -> str:
    line = f"account {account['name']}: {account['state']}"
    if account["cause"]:
        line += f" since {account['since']} ({account['cause']})"
    return line + (f", last answer {_ago(account['last_answer'], now)}" if account.get("last_answer") else "")


def _agreement(at: str | None, now: str | None) -> str:
    return "not yet looked at" if at is None else f"everything handled, as the server said {_ago(at, now)}"


def _ago(at: str, now: str | None) -> str:
    return when(datetime.fromisoformat(at), datetime.fromisoformat(now)) if now else f"at {at}"


def progress(left: int, total: int, seconds_left: float | None) -> str:
    """A bar of older mail, and how long the rest takes at the rate so far."""
    filled = BAR_WIDTH * (total - left) // max(total, 1)
    bar = "█" * filled + "░" * (BAR_WIDTH - filled)
    rest = "" if seconds_left is None else f", about {_duration(seconds_left)} more"
    return f"older mail {bar} {total - left:,} of {total:,} messages{rest}"


def _duration(seconds: float) -> str:
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{round(seconds / unit)} {name}"
    return f"{max(round(seconds), 1)} seconds"


def _sink_line(sink: Mapping[str, Any]) -> str:
    line = f"sink {sink['name']}: {sink['state']}, {sink['waiting']} waiting"
    if sink.get("oldest"):
        line += f", the oldest since {sink['oldest']}"
    return line + (f" ({sink['reason']})" if sink.get("reason") else "")


def _lines_about(facts: Mapping[str, Any]) -> Iterator[str]:
    if "note" in facts:
        yield str(facts["note"])
    for message in facts["messages"]:
        asked = _asked(message["requested"])
        yield f"{message['message_id']}  {message['subject']}"
        yield f"  sent {message['sent_at'] or 'at an unknown time'} by {message['account']}; {asked}"
        for recipient in message["recipients"]:
            yield from _recipient_lines(recipient)
        if message["settled"]:
            yield "  settled: nothing more is awaited"


def _asked(requested: Mapping[str, Any]) -> str:
    """What was asked of each recipient, without which silence cannot be read."""
    asked = ["a receipt"] if requested["mdn"] else []
    if requested["dsn"]:
        asked.append(f"delivery reports ({', '.join(requested['dsn'])})")
    return f"asked for: {' and '.join(asked)}" if asked else "nothing was asked for, as far as the copy shows"


def _recipient_lines(recipient: Mapping[str, Any]) -> Iterator[str]:
    beside = [*recipient["flags"], *([] if recipient["addressed"] else ["never addressed"])]
    if "return_date" in recipient:
        beside.append(f"away until {recipient['return_date']}")
    summary = recipient["summary"] if recipient["evidence"] else "no evidence"
    yield f"  {recipient['address']}: {summary}" + (f" ({', '.join(beside)})" if beside else "")
    for piece in recipient["evidence"]:
        reasons = f" ({', '.join(piece['grade_reasons'])})" if piece["grade_reasons"] else ""
        claimed = f" {piece['claimed_at']}," if piece["claimed_at"] else ""
        when = f"{claimed} arrived {piece['observed_at']}"
        yield f"    {piece['kind']}{when}, matched by {piece['rung']}, {piece['grade']}{reasons}"
        yield from (f"      {name}: {piece['fields'][name]}" for name in TELLING_FIELDS if name in piece["fields"])
