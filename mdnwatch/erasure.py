"""Erases a message or an address from the database, and leaves what keeps it from being known again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from mdnwatch.acceptance import fold_anew
from mdnwatch.errors import MdnwatchError
from mdnwatch.model.address import without_sub_address
from mdnwatch.model.answer import key_hash, keyed_hash
from mdnwatch.model.correlation import message_id_key
from mdnwatch.model.erasure import Mailbox
from mdnwatch.model.event import Event
from mdnwatch.model.stored import to_ms
from mdnwatch.store import erase_queries, reply_queries, sent_queries, tombstone_queries
from mdnwatch.store.erase_queries import Piece
from mdnwatch.unit import Rules, Unit


class UnderWay(MdnwatchError):
    """What is to be erased is being delivered at this moment: nothing was erased, and it can be tried again."""

    def __init__(self) -> None:
        super().__init__("what is to be erased is being delivered at this moment: try again in a minute")


@dataclass(slots=True)
class Erased:
    """How much was erased. `undelivered` are notifications that will never go out; `message_ids` with brackets."""

    messages: int = 0
    recipients: int = 0
    reports: int = 0
    evidence: int = 0
    events: int = 0
    undelivered: int = 0
    held_replies: int = 0
    message_ids: list[str] = field(default_factory=list)


def quiet_unit(db: sqlite3.Connection, rules: Rules, now: datetime) -> Unit:
    """A unit of work that tells nobody anything; `now` is aware UTC."""

    def tell_nobody(_db: sqlite3.Connection, _event: Event, _now: datetime) -> None:
        """What is erased is no news."""

    return Unit(db, rules, now, tell_nobody)


def erase_message_id(unit: Unit, message_id: str) -> Erased:
    """Erase every message of a Message-ID, and what waits for one; known or not, none will be known again.

    In one transaction of the caller's. Raises UnderWay.
    """
    erased, key = Erased(), message_id_key(message_id)
    for number in sorted(sent_queries.find_by_keys(unit.db, [key]).get(key, ())):
        erase_message(unit, number, erased)
    _drop_reports(unit, erase_queries.reports_waiting_for(unit.db, [key]), erased)
    erase_queries.forget_keys(unit.db, [key])
    tombstone_queries.bury_message(unit.db, [key], unit.now)
    erased.message_ids.append(key[2:])
    return erased


def erase_message(unit: Unit, number: int, erased: Erased) -> None:
    """Erase one message with all that is known of it, and count it. Raises UnderWay, and then nothing has changed."""
    db, keys = unit.db, sent_queries.keys_of(unit.db, number)
    recipients = sent_queries.recipients_of(db, number)
    secret = reply_queries.secret_of_hashes(db)
    reports = erase_queries.reports_about(db, number, keys)
    # First, and together: what is under way leaves all as it was.
    events = [*erase_queries.events_of_message(db, number), *erase_queries.events_of_reports(db, reports)]
    _drop_events(unit, events, erased)
    _drop_reports(unit, reports, erased)
    erase_queries.forget_keys(db, keys)
    hashes = (key_hash(secret, key, one.address) for key in keys for one in recipients)
    erased.held_replies += erase_queries.delete_held(db, hashes)
    erase_queries.delete_message(db, number)
    tombstone_queries.bury_message(db, keys, unit.now)
    erased.messages += 1
    erased.recipients += len(recipients)
    erased.message_ids.append(keys[0][2:])


def erase_address(unit: Unit, address: str) -> Erased:
    """Erase all that is known of an address, with whatever sub-address, and every message that went to nobody else.

    In one transaction of the caller's, with a pass over all evidence and events. Raises UnderWay.
    """
    db, erased, mailbox = unit.db, Erased(), Mailbox(without_sub_address(address))
    erase_queries.let_see(db, mailbox)
    theirs = erase_queries.recipients_of_mailbox(db, mailbox.name)
    for number in erase_queries.messages_from(db):
        erase_message(unit, number, erased)
    _drop_evidence(unit, mailbox, erased)
    _drop_events(unit, erase_queries.events_naming(db), erased)
    erased.recipients += erase_queries.delete_mailbox(db, mailbox.name)
    for number in dict.fromkeys(number for number, _ in theirs):
        _bury_recipient(unit, number, mailbox, erased)
    tombstone_queries.bury_message(db, erase_queries.pop_keys_naming(db), unit.now)
    sender = keyed_hash(reply_queries.secret_of_hashes(db), mailbox.name)
    erased.held_replies += erase_queries.delete_held_from(db, sender)
    erase_queries.clean_texts(db)
    tombstone_queries.bury_mailbox(db, mailbox.name, unit.now)
    return erased


def _bury_recipient(unit: Unit, number: int, mailbox: Mailbox, erased: Erased) -> None:
    """Of a message that has lost a recipient: that one stays unknown, and with the last one so does the message."""
    if not sent_queries.is_there(unit.db, number):
        return
    tombstone_queries.bury_recipient(unit.db, sent_queries.keys_of(unit.db, number)[0], mailbox.name, unit.now)
    sent_queries.mark_incomplete(unit.db, number)
    if not erase_queries.is_addressed(unit.db, number):
        erase_message(unit, number, erased)


def _drop_evidence(unit: Unit, mailbox: Mailbox, erased: Erased) -> None:
    """The evidence that names a mailbox, and reports of which nothing else is left; states of others without it."""
    named = erase_queries.reports_naming(unit.db)
    pieces = list(dict.fromkeys([*erase_queries.pieces_naming(unit.db), *erase_queries.pieces_of(unit.db, named)]))
    erase_queries.delete_pieces(unit.db, pieces)
    erased.evidence += len(pieces)
    empty = erase_queries.without_evidence(unit.db, [piece.report for piece in pieces])
    _drop_reports(unit, dict.fromkeys([*named, *empty]), erased)
    for number, address in _others(pieces, mailbox):
        fold_anew(unit, number, address)


def _others(pieces: Iterable[Piece], mailbox: Mailbox) -> list[tuple[int, str]]:
    placed = {(one.message, one.recipient) for one in pieces if one.message is not None and one.recipient is not None}
    return sorted((number, who) for number, who in placed if without_sub_address(who) != mailbox.name)


def _drop_reports(unit: Unit, reports: Iterable[str], erased: Erased) -> None:
    ids = list(reports)
    erased.evidence += len(erase_queries.pieces_of(unit.db, ids))
    _drop_events(unit, erase_queries.events_of_reports(unit.db, ids), erased)
    erased.reports += erase_queries.delete_reports(unit.db, ids)


def _drop_events(unit: Unit, events: list[str], erased: Erased) -> None:
    # The outbox will write down what came of a delivery, under a number that must not be another one's by then.
    if erase_queries.are_under_way(unit.db, events):
        raise UnderWay
    deleted = erase_queries.delete_events(unit.db, events, to_ms(unit.now) or 0)
    erased.events += deleted.events
    erased.undelivered += deleted.undelivered
