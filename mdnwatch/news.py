"""What a unit of work tells beside the states: reports that change none, and one event in place of a flood."""

from __future__ import annotations

from collections.abc import Mapping

from mdnwatch.model.authenticity import Graded
from mdnwatch.model.correlation import Ambiguous
from mdnwatch.model.event import Event, authenticity_facts, flood_event, report_event
from mdnwatch.model.event_type import EventType
from mdnwatch.model.stored import StoredReport
from mdnwatch.store import event_queries, sent_queries
from mdnwatch.store.sent_queries import StoredMessage, StoredRecipient
from mdnwatch.unit import Unit

MS_PER_HOUR = 3_600_000


def tell_ambiguous(unit: Unit, report: StoredReport, choice: Ambiguous) -> None:
    """Tell that a report could be about several messages: none of them is chosen."""
    candidates = [sent_queries.load_message(unit.db, number) for number in choice.messages]
    data = {
        "account": report.account,
        "kind": report.kind,
        "candidates": [{"message_id": one.message_id, "from": one.from_address} for one in candidates[:20]],
    }
    tell_of_report(unit, EventType.REPORT_AMBIGUOUS, report.id, report.account, data, announce=report.announce)


def tell_suspicious(
    unit: Unit, report: StoredReport, message: StoredMessage, recipient: StoredRecipient, graded: Graded
) -> None:
    """Tell that a report contradicts what is known (RFC 8098 §6.1): it changed no state."""
    data = {
        "account": report.account,
        "kind": report.kind,
        "message_id": message.message_id,
        "recipient": recipient.address,
        "authenticity": authenticity_facts(graded),
    }
    tell_of_report(unit, EventType.REPORT_SUSPICIOUS, report.id, report.account, data, announce=report.announce)


def tell_once(unit: Unit, event: Event, message: StoredMessage, *, silent: bool) -> None:
    """Tell of a message what stands in place of many events."""
    if event_queries.is_known(unit.db, event.id):
        return
    event_queries.insert_event(unit.db, event, unit.now, message=message.id, silent=silent)
    if not silent:
        enqueue(unit, event)


def tell_of_report(  # noqa: PLR0913 - what such an event names
    unit: Unit, kind: EventType, report_id: str, account: str, data: Mapping[str, object], *, announce: bool = True
) -> None:
    """Tell of a report that changes no state, once; more of a type and account than a person reads are summarised."""
    if not (announce or unit.rules.announce_backfill):
        return
    event = report_event(kind, report_id, data, unit.now)
    if event_queries.is_known(unit.db, event.id):
        return
    hour = int(unit.now.timestamp() * 1000) // MS_PER_HOUR
    if event_queries.count_in_hour(unit.db, kind, account, hour) > event_queries.MAX_REPORT_EVENTS_PER_HOUR:
        event = flood_event(kind, account, hour, unit.now)
    if event_queries.insert_event(unit.db, event, unit.now):
        enqueue(unit, event)


def enqueue(unit: Unit, event: Event) -> None:
    """Queue a kept event for the sinks, now or with the others of its batch."""
    unit.events.append(event)
    if unit.later is None:
        unit.enqueue(unit.db, event, unit.now)
