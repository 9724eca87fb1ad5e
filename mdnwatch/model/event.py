"""Events: what is told, once, when the first accepted evidence of a kind about a recipient is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast

import orjson

from mdnwatch.model import event_body
from mdnwatch.model.address import canonical
from mdnwatch.model.authenticity import REASONS, Grade, Graded
from mdnwatch.model.correlation import Rung
from mdnwatch.model.event_type import EventType
from mdnwatch.model.evidence import Evidence, Kind
from mdnwatch.model.outage import WAY_OUT, Outage
from mdnwatch.model.sent import Requested
from mdnwatch.model.state import RecipientState
from mdnwatch.model.stored import dump
from mdnwatch.model.text import clean

# A receiver may refuse large bodies; 16 KiB fits every queue and log known to us.
MAX_BODY_BYTES = 16 * 1024

# Where a body would be larger, its foreign texts are cut to this many characters.
SHORT_TEXT = 200


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `order_key` names the sequence in which it is delivered; `body` is the JSON that every sink gets."""

    id: str
    type: EventType
    order_key: str
    body: str
    grade: Grade | None = None  # of the evidence it rests on, where it is about a recipient


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What an event tells of the sent message. Message-ID with angle brackets; `sent_at` aware UTC."""

    message_id: str
    from_address: str
    account: str
    subject: str
    sent_at: datetime | None
    requested: Requested
    reference: str | None
    metadata: str | None = None  # JSON


@dataclass(frozen=True, slots=True)
class RecipientFacts:
    """What an event tells of the recipient."""

    address: str
    addressed: bool
    before: RecipientState
    after: RecipientState
    probable_recipient: str | None = None


def event_id(*parts: str) -> str:
    """The same facts give the same id: "evt_" and 32 hexadecimal digits of a hash of the parts.

    It holds no full stop, which would make the signed text of a webhook ambiguous (Standard Webhooks).
    """
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape"))
    return f"evt_{digest.hexdigest()[:32]}"


def event_type_of(kind: Kind) -> EventType | None:
    """The event of a recipient for evidence of a kind; a warning has none."""
    return None if kind is Kind.WARNING else EventType(f"recipient.{kind.value}")


def recipient_event_id(message_id: str, from_address: str, recipient: str, piece: Evidence) -> str:
    """The id of the event that a piece of evidence gives; the members behind an address fail one by one."""
    member = canonical(piece.member) if piece.member and piece.kind is Kind.FAILED else ""
    return event_id(message_id, from_address, canonical(recipient), piece.kind.value, member)


def recipient_event(  # noqa: PLR0913 - what an event names
    *,
    identifier: str,
    sequence: int,
    message: MessageFacts,
    recipient: RecipientFacts,
    piece: Evidence,
    graded: Graded,
    rung: str,
    now: datetime,
) -> Event:
    """The event that tells of the first accepted evidence of its kind for a recipient; `now` is aware UTC."""
    kind = EventType(f"recipient.{piece.kind.value}")
    data: event_body.OfRecipient = {
        "id": identifier,
        "sequence": sequence,
        "message": _message(message),
        "recipient": _recipient(recipient),
        "evidence": _evidence(piece),
        "correlation": {"rung": Rung(rung)},
        "authenticity": authenticity_facts(graded),
    }
    order_key = f"{message.message_id} {canonical(recipient.address)}"
    return Event(identifier, kind, order_key, _body(kind, data, now), graded.grade)


def report_event(kind: EventType, report_id: str, data: Mapping[str, Any], now: datetime) -> Event:
    """An event about a report rather than a recipient: ambiguous, suspicious, malformed."""
    identifier = event_id(kind.value, report_id)
    return Event(identifier, kind, identifier, _body(kind, {"id": identifier, "report_id": report_id, **data}, now))


def overdue_event_id(message: MessageFacts, recipient: str, step: timedelta) -> str:
    """The id of the event that a recipient was silent for so long."""
    seconds = str(round(step.total_seconds()))
    return event_id(message.message_id, message.from_address, canonical(recipient), "overdue", seconds)


def overdue_event(  # noqa: PLR0913, PLR0917 - what an event names
    identifier: str, sequence: int, message: MessageFacts, recipient: RecipientFacts, step: timedelta, now: datetime
) -> Event:
    """The event that nothing was heard of a recipient for so long after sending; `now` is aware UTC."""
    kind = EventType.RECIPIENT_OVERDUE
    data = {
        "id": identifier,
        "sequence": sequence,
        "message": _message(message),
        "recipient": _recipient(recipient),
        "overdue": {"after_seconds": round(step.total_seconds())},
    }
    return Event(identifier, kind, f"{message.message_id} {canonical(recipient.address)}", _body(kind, data, now))


def settled_event_id(message: MessageFacts) -> str:
    """The id of the event that a message is settled."""
    return event_id(message.message_id, message.from_address, "", "settled")


def settled_event(message: MessageFacts, summaries: Mapping[str, int], now: datetime, *, expired: bool) -> Event:
    """The event that nothing more is awaited of a message; `summaries` counts its recipients, `now` is aware UTC.

    `expired`: since its watch is over, and not because every recipient failed, declined, displayed or replied.
    """
    kind, identifier = EventType.MESSAGE_SETTLED, settled_event_id(message)
    data = {
        "id": identifier,
        "message": _message(message),
        "expired": expired,
        "recipients": {"total": sum(summaries.values()), **dict(sorted(summaries.items()))},
    }
    return Event(identifier, kind, message.message_id, _body(kind, data, now))


def flood_event(kind: EventType, account: str, hour: int, now: datetime) -> Event:
    """Said once an hour in place of the events of a type that come by the thousand."""
    identifier = event_id(kind.value, "flood", account, str(hour))
    text = "more reports of this kind came within the hour than are told one by one; `mdnwatch status` counts them"
    data = {"id": identifier, "account": account, "summary": text}
    return Event(identifier, kind, identifier, _body(kind, data, now))


def crowd_event(message: MessageFacts, kept: int, now: datetime) -> Event:
    """Said once of a message in place of the events of more than `kept` recipients that were never addressed."""
    text = (
        f"more than {kept} addresses to which {clean(message.message_id)} was not written report about it:"
        " the members of a list, or forgery; no more of them are told"
    )
    return _instead_of_many(message, "crowd", text, now)


def many_events(message: MessageFacts, recipient: str, told: int, now: datetime) -> Event:
    """Said once of a recipient in place of more than `told` events, as the members of a list fail one by one."""
    text = (
        f"more than {told} events of {clean(recipient)} came of {clean(message.message_id)}: the members behind it,"
        " or forgery; no more of them are told"
    )
    return _instead_of_many(message, canonical(recipient), text, now)


def _instead_of_many(message: MessageFacts, what: str, text: str, now: datetime) -> Event:
    kind = EventType.REPORT_SUSPICIOUS
    identifier = event_id(kind.value, "many", message.message_id, message.from_address, what)
    data = {"id": identifier, "account": message.account, "summary": text}
    return Event(identifier, kind, identifier, _body(kind, data, now))


def endpoint_event(kind: EventType, name: str, since: datetime, reason: str, now: datetime) -> Event:
    """A sink that went down or came back; `since` is the start of the outage."""
    identifier = event_id(kind.value, name, str(round(since.timestamp() * 1000)))
    data = {"id": identifier, kind.value.split(".")[0]: name, "since": _time(since), "reason": clean(reason)}
    return Event(identifier, kind, identifier, _body(kind, data, now))


def source_event(kind: EventType, outage: Outage, now: datetime) -> Event:
    """An account that cannot be read, or that is read again; `now` is aware UTC.

    Both events of an outage name its cause; `back_since` stands in the second one only.
    """
    identifier = event_id(kind.value, outage.account, str(round(outage.since.timestamp() * 1000)))
    trouble, is_over = outage.trouble, kind is EventType.SOURCE_UP
    data = {
        "id": identifier,
        "source": outage.account,
        "since": _time(outage.since),
        "cause": trouble.cause.value,
        "reason": "it is read again" if is_over else clean(trouble.reason),
    }
    if is_over:
        data["back_since"] = _time(outage.back_since)
    elif trouble.cause in WAY_OUT:
        data["way_out"] = WAY_OUT[trouble.cause]
    # Down and up of one account go out in this order.
    return Event(identifier, kind, f"source {outage.account}", _body(kind, data, now))


def ping_body(sink: str, now: datetime) -> tuple[str, str]:
    """The id and the body of an event that only tries a sink out; each has an id of its own."""
    identifier = event_id(event_body.TEST_TYPE, sink, _time(now) or "")
    text = "a test, sent by hand: nothing has happened"
    data: event_body.OfTest = {"id": identifier, "sink": sink, "test": True, "text": text}
    return identifier, dump({"type": event_body.TEST_TYPE, "timestamp": _time(now), "data": data})


def _message(message: MessageFacts) -> event_body.Message:
    return {
        "message_id": message.message_id,
        "account": message.account,
        "from": message.from_address,
        "subject": clean(message.subject),
        "sent_at": _time(message.sent_at),
        "reference": message.reference,
        "metadata": None if message.metadata is None else json.loads(message.metadata),
        "requested": {"mdn": message.requested.mdn, "dsn": list(message.requested.dsn)},
    }


def _recipient(recipient: RecipientFacts) -> event_body.Recipient:
    facts: dict[str, Any] = {
        "address": clean(recipient.address),
        "addressed": recipient.addressed,
        **state_facts(recipient.after),
        "times": times_facts(recipient.after, _time),
        "before": state_facts(recipient.before),
    }
    if not recipient.addressed:
        facts["probable_recipient"] = recipient.probable_recipient
    return cast("event_body.Recipient", facts)


def state_facts(state: RecipientState) -> event_body.State:
    """A state as events and `mdnwatch status` tell it; `return_date` stands there where an absence notice named it."""
    facts: event_body.State = {
        "summary": state.summary,
        "delivery": state.delivery.name.lower(),
        "reading": state.reading.name.lower(),
        "flags": list(state.flags),
    }
    if state.return_date is not None:
        facts["return_date"] = state.return_date.isoformat()
    return facts


def times_facts(state: RecipientState, form: Callable[[datetime | None], str | None]) -> dict[str, Any]:
    """The first and last time of each fact, as the reports claim and as the mail servers observed, each as text."""
    return {
        kind.value: {
            "first_claimed": form(times.first_claimed),
            "last_claimed": form(times.last_claimed),
            "first_observed": form(times.first_observed),
            "last_observed": form(times.last_observed),
        }
        for kind, times in sorted(state.times.items())
    }


def _evidence(piece: Evidence) -> event_body.Evidence:
    facts: dict[str, Any] = {
        "report_id": piece.report_id,
        "block": piece.block,
        "kind": piece.kind.value,
        "claimed_at": _time(piece.claimed_at),
        "observed_at": _time(piece.observed_at),
        "reason": piece.reason,
        "member": clean(piece.member) if piece.member else None,
        "handed_over_to": piece.handed_over_to,
        "warnings": list(piece.warnings),
        "return_date": piece.return_date.isoformat() if piece.return_date else None,
        "fields": dict(piece.details),
    }
    return cast("event_body.Evidence", {name: value for name, value in facts.items() if value not in (None, [], {})})


def authenticity_facts(graded: Graded) -> event_body.Authenticity:
    """A grade as events tell it; `by` stands there where something vouches for the report."""
    facts: event_body.Authenticity = {
        "grade": graded.grade,
        "reasons": [{"code": code, "text": REASONS[code].text} for code in graded.reasons],
    }
    if graded.by is not None:
        facts["by"] = graded.by
    return facts


def arrival_of(body: str) -> datetime | None:
    """When the report that an event rests on arrived (aware UTC); None for an event that no report has caused."""
    observed_at = orjson.loads(body).get("data", {}).get("evidence", {}).get("observed_at")
    return None if observed_at is None else datetime.fromisoformat(observed_at)


# An event names few times, most of them again and again.
@lru_cache(maxsize=16)
def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _body(kind: EventType, data: Mapping[str, Any], now: datetime) -> str:
    body = dump({"type": kind.value, "timestamp": _time(now), "data": data})
    if len(body.encode("utf-8")) <= MAX_BODY_BYTES or "evidence" not in data:
        return body
    evidence = dict(data["evidence"])
    evidence["fields"] = {name: _shortened(value) for name, value in evidence.get("fields", {}).items()}
    return dump({"type": kind.value, "timestamp": _time(now), "data": {**data, "evidence": evidence}})


def _shortened(value: object) -> object:
    if isinstance(value, str):
        return value if len(value) <= SHORT_TEXT else value[:SHORT_TEXT] + "…"
    return [_shortened(inner) for inner in value] if isinstance(value, list) else value
