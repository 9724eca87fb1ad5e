"""What an explanation rests on: the facts about a message, an address or a report, read from the database."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from mdnwatch import status
from mdnwatch.config import Config
from mdnwatch.errors import MdnwatchError
from mdnwatch.model.address import split, without_sub_address
from mdnwatch.model.authenticity import Grade, Graded
from mdnwatch.model.correlation import Ambiguous, Match, choose, message_id_key
from mdnwatch.model.event import event_type_of, recipient_event_id
from mdnwatch.model.event_type import EventType
from mdnwatch.model.evidence import Evidence, Kind
from mdnwatch.model.state import Delivery, Reading, RecipientState
from mdnwatch.model.stored import REPLY, StoredReport, from_ms, report_from, to_ms
from mdnwatch.store import explain_queries, report_queries, sent_queries
from mdnwatch.store.sent_queries import StoredMessage, StoredRecipient
from mdnwatch.store.sqlite import DATABASE_NAME, connect_for_reading
from mdnwatch.unit import rules_of
from mdnwatch.visibility import ALL, Visible

# A person reads about so many at a time; of the others the number is told.
MAX_RECIPIENTS = 20
MAX_EVIDENCE = 20
MAX_REPORTS = 20
# A case file has all that is known, up to so many recipients and so much evidence: some dozens of MB.
MAX_RECIPIENTS_IN_CASE = 1000
MAX_EVIDENCE_IN_CASE = 10_000

# Of the messages to an address the last few are told in full.
MAX_IN_FULL = 3

# A request that went out within this says nothing yet of how its domain answers.
TIME_TO_ANSWER = timedelta(days=1)

_REPORT_ID = re.compile(r"[0-9a-f]{64}")

# What a mail program sends of itself about a message.
_RECEIPTS = frozenset({Kind.DISPLAYED, Kind.DELETED, Kind.DECLINED, Kind.DISPATCHED, Kind.PROCESSED})

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and when: the configuration in force, what may be seen, the time (aware UTC)."""

    config: Config
    now: datetime
    sees: Visible = ALL
    whole: bool = False  # for a case file: all of it, up to a bound


def stored(question: Mapping[str, Any], asker: Asker) -> Facts:
    """The answer that the database gives while no daemon runs. Raises StoreError where there is none."""
    with closing(connect_for_reading(asker.config.state_dir / DATABASE_NAME)) as db:
        return {"running": False, **answer(db, question, asker)}


def answer(db: sqlite3.Connection, question: Mapping[str, Any], asker: Asker) -> Facts:
    """The facts for a question: `query` is a Message-ID, an address or a report_id; or `report` is one just read."""
    if isinstance(report := question.get("report"), Mapping):
        return of_report(db, report, asker)
    asker = replace(asker, whole=bool(question.get("whole")))
    return of_query(db, str(question.get("query") or "").strip(), asker)


def of_query(db: sqlite3.Connection, query: str, asker: Asker) -> Facts:
    """The facts about what a query names; `subject` tells which of message, address, report and nothing that is."""
    key = message_id_key(query)
    messages = [one for one in status.messages_named(db, key) if asker.sees.account(one.account)]
    most = MAX_EVIDENCE_IN_CASE if asker.whole else MAX_REPORTS
    reports = list(islice(_reports_naming(db, key, {one.id for one in messages}, asker), most))
    if messages or reports:
        told = messages if asker.whole else messages[:MAX_IN_FULL]
        found = [message_facts(db, one, asker) for one in told]
        return {"subject": "message", "query": query, "messages": found, "other_reports": reports}
    if _REPORT_ID.fullmatch(query) and (known := _known(db, query, asker)):
        return {"subject": "report", "query": query, "known": known}
    return _of_address(db, query, asker)


def _of_address(db: sqlite3.Connection, address: str, asker: Asker) -> Facts:
    found = [(sent_queries.load_message(db, one.message), one) for one in status.recipients_called(db, address)]
    found = [(message, one) for message, one in found if asker.sees.account(message.account)]
    return {
        "subject": "address" if found else "nothing",
        "query": address,
        "summaries": Counter(one.state.summary for _, one in found),
        "messages": [message_facts(db, message, asker, [one]) for message, one in found[:MAX_IN_FULL]],
        "others": [_in_short(message, one) for message, one in found[MAX_IN_FULL:]],
        "most": status.MAX_MESSAGES,
    }


def _in_short(message: StoredMessage, recipient: StoredRecipient) -> Facts:
    return {
        "message_id": message.message_id,
        "subject": message.subject,
        "sent_at": time_text(message.sent_at),
        "summary": recipient.state.summary,
    }


def message_facts(
    db: sqlite3.Connection,
    message: StoredMessage,
    asker: Asker,
    recipients: Iterable[StoredRecipient] | None = None,
) -> Facts:
    """What is known of a message and of these recipients of it, or of those that matter most."""
    everybody = sorted(_everybody(db, message) if recipients is None else recipients, key=_by_weight)
    limit = MAX_RECIPIENTS_IN_CASE if asker.whole else MAX_RECIPIENTS
    most = MAX_EVIDENCE_IN_CASE // max(len(everybody[:limit]), 1) if asker.whole else MAX_EVIDENCE
    events = _events(db, message, {one.address for one in everybody[:limit]}, most)
    silent = {_domain(one) for one in everybody[:limit] if one.addressed and _is_silent(one.state)}
    return {
        **status.message_facts(db, message, []),
        "envelope_id": message.envelope_id,
        "watched_until": time_text(message.sent_at + asker.config.watch_for) if message.sent_at else None,
        "summaries": Counter(one.state.summary for one in everybody if one.addressed),
        "recipients": [
            {**_recipient(db, message, one, asker, most), "told": events.get(one.address, [])}
            for one in everybody[:limit]
        ],
        "left_out": max(len(everybody) - limit, 0),
        "events": events.get(None, []),
        "domains": {domain: _habit(db, domain, message, asker) for domain in sorted(silent)},
    }


def _everybody(db: sqlite3.Connection, message: StoredMessage) -> list[StoredRecipient]:
    """The recipients of a message; and those of whom contradicted evidence alone tells, for whom no row is kept."""
    kept = sent_queries.recipients_of(db, message.id)
    known = {recipient.address for recipient in kept}
    strangers = (one for one in explain_queries.told_of(db, message.id) if one is not None and one not in known)
    return kept + [_stranger(message, one) for one in islice(strangers, sent_queries.MAX_UNADDRESSED)]


def _stranger(message: StoredMessage, address: str) -> StoredRecipient:
    return StoredRecipient(message.id, address, addressed=False, sequence=0, state=RecipientState())


def _by_weight(recipient: StoredRecipient) -> tuple[bool, bool, str]:
    """Trouble first, silence last."""
    state = recipient.state
    trouble = state.delivery in {Delivery.FAILED, Delivery.DELAYED} or "conflicting" in state.flags
    return not trouble, not state.times, recipient.address


def _is_silent(state: RecipientState) -> bool:
    return state.reading is Reading.NONE and state.delivery is not Delivery.FAILED


def _domain(recipient: StoredRecipient) -> str:
    return split(without_sub_address(recipient.address))[1]


def _habit(db: sqlite3.Connection, domain: str, message: StoredMessage, asker: Asker) -> Facts:
    """How many recipients of a domain were asked for a receipt in other messages, and how many gave one."""
    asked = answered = displayed = 0
    before = asker.now - TIME_TO_ANSWER
    for state in explain_queries.asked_of_domain(db, domain, before, but=message.id, sees=asker.sees.account):
        asked += 1
        answered += not _RECEIPTS.isdisjoint(state.times)
        displayed += Kind.DISPLAYED in state.times
    return {"asked": asked, "answered": answered, "displayed": displayed, "most": explain_queries.MAX_OF_DOMAIN}


def _recipient(
    db: sqlite3.Connection,
    message: StoredMessage,
    recipient: StoredRecipient,
    asker: Asker,
    most: int,
) -> Facts:
    rules = rules_of(asker.config)
    pieces = list(report_queries.evidence_of(db, message.id, recipient.address))
    shown = _telling(pieces, most)
    facts = status.recipient_facts(db, recipient, shown)
    for piece, (evidence, graded) in zip(facts["evidence"], shown, strict=True):
        piece["report"] = report_facts(db, piece["report_id"], asker)
        piece["accepted"] = rules.accepts(graded, message.account)
        piece["event_id"] = _event_id(message, recipient, evidence) if piece["accepted"] else None
    if not recipient.addressed:
        facts["probable_recipient"] = sent_queries.probable_recipient(db, message.id, recipient.address)
    facts["retry_until"] = time_text(recipient.state.retry_until)
    facts["failed"] = recipient.state.failed
    facts["domain"] = _domain(recipient)
    facts["evidence_left_out"] = len(pieces) - len(shown)
    return facts


def _event_id(message: StoredMessage, recipient: StoredRecipient, piece: Evidence) -> str | None:
    """The event that a piece of evidence gives; None for a warning, which has none."""
    if event_type_of(piece.kind) is None:
        return None
    return recipient_event_id(message.message_id, message.from_address, recipient.address, piece)


def _telling(pieces: Sequence[tuple[Evidence, Graded]], most: int) -> list[tuple[Evidence, Graded]]:
    """The pieces that are told, the earlier before the later: one of each kind at least, contradicted or not."""
    in_order = sorted(pieces, key=lambda one: (_at(one[0]), one[0].report_id, one[0].block))
    first = {
        (piece.kind, graded.grade is Grade.CONTRADICTED): n for n, (piece, graded) in enumerate(reversed(in_order))
    }
    wanted = {len(in_order) - 1 - n for n in first.values()}
    rest = (n for n in range(len(in_order)) if n not in wanted)
    wanted.update(islice(rest, max(most - len(wanted), 0)))
    return [in_order[n] for n in sorted(wanted)]


def _at(piece: Evidence) -> datetime:
    return piece.claimed_at or piece.observed_at


def _events(
    db: sqlite3.Connection, message: StoredMessage, wanted: set[str], most: int
) -> dict[str | None, list[Facts]]:
    """The events of these recipients, and under None those of the message."""
    found: dict[str | None, list[Facts]] = {}
    for event in explain_queries.events_of(db, message.id):
        known = found.setdefault(event.recipient, []) if event.recipient in {None, *wanted} else None
        if known is not None and len(known) < most:
            known.append(
                {
                    "id": event.id,
                    "type": event.type,
                    "at": time_text(from_ms(event.created_at)),
                    "told": event.told,
                    **({"after_seconds": event.after_seconds} if event.after_seconds else {}),
                    **({"expired": event.expired} if event.type == EventType.MESSAGE_SETTLED else {}),
                }
            )
    return found


def report_facts(db: sqlite3.Connection, report_id: str, asker: Asker) -> Facts:
    """What is kept of a report, and where it was seen, as far as the asker may know."""
    row = db.execute(
        "SELECT kind, account, first_seen, observed_at, outcome, rung, content FROM report WHERE id = ?", (report_id,)
    ).fetchone()
    kind, account, first_seen, observed_at, outcome, rung, content = row
    data = json.loads(content)
    seen = [one for one in explain_queries.sightings_of(db, report_id) if asker.sees.account(one.place.account)]
    return {
        "report_id": report_id,
        "kind": kind,
        "format": data.get("format"),
        "account": account,
        "from": data.get("from"),
        "dated": time_text(from_ms(data.get("date"))),
        "first_seen": time_text(from_ms(first_seen)),
        "observed_at": time_text(from_ms(observed_at)),
        "outcome": outcome,
        "rung": rung,
        "defects": data.get("defects", []),
        "malformed": data.get("reason"),
        "seen_in": [
            {
                "account": place.account,
                "folder": place.folder,
                "uidvalidity": place.uidvalidity,
                "uid": place.uid,
                "name": place.name,
                "sha256": sha256,
            }
            for place, sha256 in seen
        ],
    }


def _reports_naming(db: sqlite3.Connection, key: str, placed: set[int], asker: Asker) -> Iterator[Facts]:
    """The reports that bear a Message-ID and were not placed with these messages."""
    for report_id in report_queries.reports_with_keys(db, [key]):
        (message, account) = db.execute("SELECT message, account FROM report WHERE id = ?", (report_id,)).fetchone()
        if message not in placed and asker.sees.account(account):
            yield _unplaced(db, report_id, asker)


def _unplaced(db: sqlite3.Connection, report_id: str, asker: Asker) -> Facts:
    """A report that was placed with no message, or with another: what it tells, and what it could be about."""
    report = report_queries.load_report(db, report_id)
    pieces = [piece for piece, _ in islice(report_queries.load_evidence(db, report_id), MAX_EVIDENCE)]
    return {
        **report_facts(db, report_id, asker),
        "pieces": [piece_facts(piece) for piece in pieces],
        **_choice(db, report, asker),
    }


def piece_facts(piece: Evidence) -> Facts:
    """What a piece of evidence tells, of whom, as facts."""
    return {
        "kind": piece.kind.value,
        "recipient": next(iter((*piece.original, *piece.final)), None),
        "claimed_at": time_text(piece.claimed_at),
        **status.piece_facts(piece),
    }


def _choice(db: sqlite3.Connection, report: StoredReport, asker: Asker) -> Facts:
    """What the ladder finds for a report now, among what the asker sees: one message, several candidates, or none."""
    found = _named(db, report, lambda number: asker.sees.account(sent_queries.load_message(db, number).account))
    named, sender = len(found), report.provenance.from_address
    if report.kind == REPLY and sender is not None:
        # As placement has it: nobody becomes a recipient by answering.
        found = _named(db, report, lambda number: sent_queries.find_recipient(db, number, (sender,)) is not None)
    choice = choose(
        report.keys, found, replaces_message_id=report.account in rules_of(asker.config).replaces_message_id
    )
    numbers: Sequence[int] = ()
    if isinstance(choice, Match):
        numbers = (choice.message,)
    elif isinstance(choice, Ambiguous):
        numbers = choice.messages
    candidates = [sent_queries.load_message(db, number) for number in numbers[:MAX_REPORTS]]
    return {
        "keys": [{"rung": key.rung.value, "key": key.key} for key in report.keys],
        "went_elsewhere": named > len(found),
        "would": "ambiguous" if isinstance(choice, Ambiguous) else "matched" if choice else "waiting",
        "by": choice.rung.value if isinstance(choice, Match) else None,
        "candidates": [
            {"message_id": one.message_id, "subject": one.subject, "from": one.from_address} for one in candidates
        ],
    }


def _named(db: sqlite3.Connection, report: StoredReport, counts: Callable[[int], bool]) -> dict[str, frozenset[int]]:
    """The messages that each key of a report names, of those that count; keys that name none are left out."""
    found = sent_queries.find_by_keys(db, (key.key for key in report.keys))
    counting = {key: frozenset(filter(counts, numbers)) for key, numbers in found.items()}
    return {key: numbers for key, numbers in counting.items() if numbers}


def _known(db: sqlite3.Connection, report_id: str, asker: Asker) -> Facts | None:
    """What became of a report of this id, with the recipients that it tells of; None where it is not known."""
    row = db.execute("SELECT message, account, outcome FROM report WHERE id = ?", (report_id,)).fetchone()
    if row is None:
        holder = explain_queries.held_for(db, report_id)
        return {"outcome": "held"} if holder is not None and asker.sees.account(holder) else None
    number, account, outcome = row
    if not asker.sees.account(account):
        return None
    if outcome == "malformed":
        return report_facts(db, report_id, asker)
    if number is None:
        return _unplaced(db, report_id, asker)
    message = sent_queries.load_message(db, number)
    if not asker.sees.account(message.account):
        return report_facts(db, report_id, asker)
    placed = islice(report_queries.load_evidence(db, report_id), MAX_RECIPIENTS)
    addresses = dict.fromkeys(where.recipient for _, where in placed if where.recipient is not None)
    recipients = [
        sent_queries.load_recipient(db, number, address) or _stranger(message, address) for address in addresses
    ]
    return {**report_facts(db, report_id, asker), "message": message_facts(db, message, asker, recipients)}


def of_report(db: sqlite3.Connection, report: Mapping[str, Any], asker: Asker) -> Facts:
    """The facts about a report that somebody shows: whether it is known, and if not, what it would be matched with.

    `id`, `kind` and `content` are as model.stored writes them; `message_id` is that of the mail itself, which may be
    one of ours. A mail that is no report has no `content`. Raises MdnwatchError.
    """
    identifier = str(report.get("id") or "")
    facts: Facts = {"subject": "file", "known": _known(db, identifier, asker) if identifier else None}
    if report.get("content") and not facts["known"]:
        facts["choice"] = _choice(db, _read(report, asker.now), asker)
    if message_id := report.get("message_id"):
        own = status.messages_named(db, message_id_key(str(message_id)))
        facts["own"] = [message_facts(db, one, asker) for one in own[:1] if asker.sees.account(one.account)]
    return facts


def _read(report: Mapping[str, Any], now: datetime) -> StoredReport:
    identifier, kind, content = (str(report.get(name)) for name in ("id", "kind", "content"))
    try:
        return report_from((identifier, kind, "", to_ms(now) or 0, 0, content))
    except (ValueError, KeyError, TypeError):
        raise MdnwatchError("a question about a report brings it as this version of mdnwatch writes it") from None


def accounts_in(facts: Facts) -> frozenset[str]:
    """The accounts of the messages that facts tell of."""
    told = [*facts.get("messages", ()), *facts.get("own", ())]
    return frozenset(message["account"] for message in told)


def time_text(time: datetime | None) -> str | None:
    """A time as facts tell it."""
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")
