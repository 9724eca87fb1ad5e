"""Evidence that is accepted: it changes a recipient's state, and the first of its kind is an event."""

from __future__ import annotations

from dataclasses import replace

from mdnwatch import settlement
from mdnwatch.model.authenticity import Graded
from mdnwatch.model.correlation import Match
from mdnwatch.model.event import (
    Event,
    RecipientFacts,
    event_type_of,
    many_events,
    recipient_event,
    recipient_event_id,
)
from mdnwatch.model.evidence import Evidence
from mdnwatch.model.followup import is_settled
from mdnwatch.model.state import RecipientState, add
from mdnwatch.model.stored import StoredReport
from mdnwatch.news import enqueue, tell_once
from mdnwatch.store import event_queries, report_queries, sent_queries
from mdnwatch.store.sent_queries import StoredMessage, StoredRecipient
from mdnwatch.unit import Unit

# The members behind a list fail one by one, each told: up to so many events of the recipient. One report names 2,000.
MAX_EVENTS_WITH_MEMBERS = 2000


def accept(  # noqa: PLR0913, PLR0917 - one step of `place`
    unit: Unit,
    report: StoredReport,
    piece: Evidence,
    message: StoredMessage,
    match: Match,
    graded: Graded,
    recipient: StoredRecipient,
) -> None:
    """Fold a piece of evidence into its recipient's state; tell it where it is the first of its kind."""
    state = add(recipient.state, piece)
    silent = not (report.announce or unit.rules.announce_backfill)
    identifier = recipient_event_id(message.message_id, message.from_address, recipient.address, piece)
    sequence = _sequence(unit, identifier, piece, message, graded, recipient, silent=silent)
    is_new = sequence == recipient.sequence + 1
    after = replace(recipient, state=state, sequence=max(sequence or 0, recipient.sequence))
    if sequence is not None:
        event = recipient_event(
            identifier=identifier,
            sequence=sequence,
            message=message,
            recipient=_recipient_facts(unit, recipient, state),
            piece=piece,
            graded=graded,
            rung=match.rung.value,
            now=unit.now,
        )
        _keep_event(unit, event, after, is_new=is_new, silent=silent)
    if after != recipient:
        sent_queries.save_state(unit.db, after)
    if is_settled(state):
        _close(unit, message, after, silent=silent)


def _sequence(  # noqa: PLR0913, PLR0917 - one step of `accept`
    unit: Unit,
    identifier: str,
    piece: Evidence,
    message: StoredMessage,
    graded: Graded,
    recipient: StoredRecipient,
    *,
    silent: bool,
) -> int | None:
    """The sequence of the event that evidence gives: the next one, or that of a known one; None where it gives none."""
    if event_type_of(piece.kind) is None:
        return None
    if event_queries.is_known(unit.db, identifier):
        return None if silent else event_queries.sequence_if_better(unit.db, identifier, graded.grade)
    if piece.member is not None and recipient.sequence >= MAX_EVENTS_WITH_MEMBERS:
        instead = many_events(message, recipient.address, MAX_EVENTS_WITH_MEMBERS, unit.now)
        tell_once(unit, instead, message, silent=silent)
        return None
    return recipient.sequence + 1


def _keep_event(unit: Unit, event: Event, recipient: StoredRecipient, *, is_new: bool, silent: bool) -> None:
    """Keep and tell an event. One that is known rests on better evidence now: it goes to those who waited for that."""
    if is_new:
        event_queries.insert_event(
            unit.db,
            event,
            unit.now,
            message=recipient.message,
            recipient=recipient.address,
            sequence=recipient.sequence,
            silent=silent,
        )
    else:
        event_queries.replace_body(unit.db, event)
    if not silent:
        enqueue(unit, event)


def _close(unit: Unit, message: StoredMessage, recipient: StoredRecipient, *, silent: bool) -> None:
    """Nothing more is awaited of a recipient; of the last one this is told."""
    event = settlement.close(unit.db, message, recipient, unit.now)
    if event is None:
        return
    event_queries.insert_event(unit.db, event, unit.now, message=message.id, silent=silent)
    if not silent:
        enqueue(unit, event)


def _recipient_facts(unit: Unit, recipient: StoredRecipient, after: RecipientState) -> RecipientFacts:
    hint = None
    if not recipient.addressed:
        hint = sent_queries.probable_recipient(unit.db, recipient.message, recipient.address)
    return RecipientFacts(recipient.address, recipient.addressed, recipient.state, after, hint)


def fold_stale(unit: Unit) -> None:
    """Each stale state once, however much of its evidence has changed."""
    for message, address in sorted(unit.stale):
        fold_anew(unit, message, address)
    unit.stale.clear()


def fold_anew(unit: Unit, message: int | None, address: str | None) -> None:
    """The state of a recipient from all its evidence: for when a piece has left it or has changed."""
    if message is None or address is None:
        return
    recipient = sent_queries.load_recipient(unit.db, message, address)
    if recipient is None:
        return
    state, account = RecipientState(), sent_queries.load_message(unit.db, message).account
    for piece, graded in report_queries.evidence_of(unit.db, message, address):
        if unit.rules.accepts(graded, account):
            state = add(state, piece)
    after = replace(recipient, state=state)
    sent_queries.save_state(unit.db, after)
    sent_queries.forget_if_empty(unit.db, after)
