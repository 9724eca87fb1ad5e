"""Where evidence belongs: which message and recipient a report is about, now and whenever more is known.

What stands in the database afterwards is what the same facts give in any other order: a report is placed anew
whenever a sent message appears, or changes, that one of its keys names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from mdnwatch.acceptance import accept, fold_anew, fold_stale
from mdnwatch.model.address import without_sub_address
from mdnwatch.model.authenticity import Grade, grade
from mdnwatch.model.correlation import Ambiguous, Match, Rung, choose
from mdnwatch.model.event import crowd_event
from mdnwatch.model.event_type import EventType
from mdnwatch.model.evidence import Evidence, Kind
from mdnwatch.model.received import Place
from mdnwatch.model.sent import SentMessage
from mdnwatch.model.stored import REPLY, StoredReport
from mdnwatch.model.token import proof
from mdnwatch.news import tell_ambiguous, tell_of_report, tell_once, tell_suspicious
from mdnwatch.store import reply_queries, report_queries, sent_queries, tombstone_queries
from mdnwatch.store.report_queries import Matched, Placement
from mdnwatch.store.sent_queries import StoredMessage, StoredRecipient
from mdnwatch.unit import Rules, Unit

# A copy may be dated by a clock that is ahead; one dated later than this says nothing of when it was sent.
CLOCKS_APART = timedelta(days=1)

# Stands for every message that was erased, where a report may be about one.
ERASED = -1

# Evidence that an answer gives, which makes nobody a recipient.
REPLIES = frozenset({Kind.REPLIED, Kind.AUTO_REPLIED})

Placed = tuple[Evidence, Placement]


def record_sent(unit: Unit, sent: SentMessage, *, follow: bool = True) -> bool:
    """Keep a sent message, and place what has waited for it; False where it was erased, and stays unknown.

    `follow`: the silence of its recipients is told; not of mail that was sent before it was watched.
    """
    unit.write_later()
    remaining = tombstone_queries.without_erased(unit.db, sent)
    if remaining is None:
        return False
    is_incomplete, sent = remaining is not sent, remaining
    followed = follow and sent.date is not None and sent.date <= unit.now + CLOCKS_APART
    message, changed = sent_queries.save_sent(unit.db, sent, unit.now if followed else None)
    if is_incomplete:
        sent_queries.mark_incomplete(unit.db, message)
    if not changed:
        return True
    # Not only those of this copy: what it changes counts for reports that name the message otherwise.
    keys = sent_queries.keys_of(unit.db, message)
    for key in keys:
        for claimed in reply_queries.claim(unit.db, key, sent.recipients):
            record_report(unit, claimed.report, [claimed.piece], claimed.place)
    for report_id in report_queries.reports_with_keys(unit.db, keys):
        _place(unit, report_queries.load_report(unit.db, report_id))
    fold_stale(unit)
    return True


def record_report(
    unit: Unit, report: StoredReport, evidence: Sequence[Evidence], seen_at: Place, sha256: str | None = None
) -> str:
    """Keep a report and where it was seen: "matched", "waiting", "ambiguous"; "known" where it was placed before.

    Of a reply that answers no known message nothing is kept but hashes: "held"; of a report about what was erased
    nothing at all: "erased". `sha256` is that of the mail there.
    """
    found = _named(unit, report)
    choice = _choose(unit, report, found)
    if tombstone_queries.are_there(unit.db):
        remaining = _not_erased(unit, report, evidence, choice)
        if _is_about_erased(unit, report, found) or (evidence and not remaining):
            return "erased"
        evidence = remaining
    if report.kind == REPLY:
        reply_queries.hold(unit.db, report, evidence[0], seen_at, unit.now)
        if choice is None:
            return "held"
        # Other mail that it names is nobody's business here.
        report = replace(report, keys=tuple(key for key in report.keys if key.key in found))
    if report_queries.insert_report(unit.db, report, _matched(choice), unit.now):
        report_queries.add_keys(unit.writes, report)
        report_queries.add_sighting(unit.writes, report.id, seen_at, sha256)
        _place_pieces(unit, report, choice, [(piece, None) for piece in evidence])
        if isinstance(choice, Ambiguous):
            tell_ambiguous(unit, report, choice)
        return _matched(choice).outcome
    unit.write_later()
    report_queries.add_sighting(unit.db, report.id, seen_at, sha256)
    _unite_checks(unit, report)
    if report_queries.lower_observed_at(unit.db, report.id, report.observed_at):
        for _, placed in list(report_queries.load_evidence(unit.db, report.id)):
            fold_anew(unit, placed.message, placed.recipient)
    # Seen first in another account: the Sent folder of this one may hold the copy.
    return "waiting" if report_queries.is_waiting(unit.db, report.id) else "known"


def _is_about_erased(unit: Unit, report: StoredReport, found: Mapping[str, frozenset[int]]) -> bool:
    """Whether a report is about a message that was erased, or may be."""
    erased = tombstone_queries.erased_keys(unit.db, (key.key for key in report.keys))
    if not erased:
        return False
    choice = _choose(unit, report, {**found, **{key: found.get(key, frozenset()) | {ERASED} for key in erased}})
    messages = choice.messages if isinstance(choice, Ambiguous) else (choice.message,) if choice else ()
    return ERASED in messages


def _not_erased(
    unit: Unit, report: StoredReport, evidence: Sequence[Evidence], choice: Match | Ambiguous | None
) -> list[Evidence]:
    """The evidence that is about nobody who was erased."""
    keys, sent_at = [key.key for key in report.keys], None
    if isinstance(choice, Match):
        sent_at = sent_queries.load_message(unit.db, choice.message).sent_at
        keys += sent_queries.keys_of(unit.db, choice.message)[:1]
    return [one for one in evidence if not tombstone_queries.is_erased(unit.db, report, one, keys, sent_at)]


def _forget_erased(unit: Unit, report: StoredReport, choice: Match | Ambiguous | None) -> list[Placed]:
    """The evidence of a kept report, once what is about somebody who was erased is gone; with it goes an empty report.

    Only now it may be known of which time its message is.
    """
    placed = list(report_queries.load_evidence(unit.db, report.id))
    if not tombstone_queries.are_there(unit.db):
        return placed
    remaining = _not_erased(unit, report, [piece for piece, _ in placed], choice)
    if len(remaining) < len(placed):
        for piece, before in placed:
            if piece not in remaining:
                report_queries.delete_evidence(unit.db, piece)
                if before.message is not None and before.recipient is not None:
                    unit.stale.add((before.message, before.recipient))
        report_queries.delete_if_empty(unit.db, report.id)
    return [(piece, placement) for piece, placement in placed if piece in remaining]


def _unite_checks(unit: Unit, report: StoredReport) -> None:
    """Grade a known report anew, where more was found of its sender at another place."""
    if not report_queries.is_read(unit.db, report.id):
        return
    known = report_queries.load_report(unit.db, report.id)
    united = known.provenance.checks.united(report.provenance.checks)
    if united != known.provenance.checks:
        known = replace(known, provenance=replace(known.provenance, checks=united))
        report_queries.replace_content(unit.db, known)
        place(unit, known)


def record_malformed(unit: Unit, report_id: str, seen_at: Place, reason: str, sha256: str | None = None) -> None:
    """Keep and tell that a message declares a report and holds none that can be used."""
    if report_queries.insert_malformed(unit.db, report_id, seen_at, reason, unit.now):
        data = {"account": seen_at.account, "folder": seen_at.folder, "reason": reason}
        tell_of_report(unit, EventType.REPORT_MALFORMED, report_id, seen_at.account, data)
    report_queries.add_sighting(unit.db, report_id, seen_at, sha256)


def place(unit: Unit, report: StoredReport) -> str:
    """Match a kept report again, and place each piece of its evidence where it belongs now; the outcome."""
    outcome = _place(unit, report)
    fold_stale(unit)
    return outcome


def _place(unit: Unit, report: StoredReport) -> str:
    """The same, but for the states of recipients that evidence has left."""
    choice = _choose(unit, report, _named(unit, report))
    is_new = report_queries.set_outcome(unit.db, report.id, _matched(choice))
    _place_pieces(unit, report, choice, _forget_erased(unit, report, choice))
    if is_new and isinstance(choice, Ambiguous):
        tell_ambiguous(unit, report, choice)
    return _matched(choice).outcome


def place_anew(unit: Unit, report: StoredReport) -> str:
    """The same by rules that have changed, on states that were forgotten: every piece is accepted, or not, again."""
    choice = _choose(unit, report, _named(unit, report))
    report_queries.set_outcome(unit.db, report.id, _matched(choice))
    match = choice if isinstance(choice, Match) else None
    message = sent_queries.load_message(unit.db, match.message) if match else None
    for piece, before in _forget_erased(unit, report, choice):
        recipient, after = _where(unit, report, piece, message, match)
        if after != before:
            report_queries.place_evidence(unit.db, piece, after)
        if message is None or match is None or recipient is None or after.graded is None:
            continue
        if unit.rules.accepts(after.graded, message.account) and not sent_queries.is_crowded(unit.db, recipient):
            accept(unit, report, piece, message, match, after.graded, _remembered(unit, recipient))
    return _matched(choice).outcome


def _named(unit: Unit, report: StoredReport) -> dict[str, frozenset[int]]:
    """The messages that each key of a report names; of a reply only those that went to whoever answers."""
    found = sent_queries.find_by_keys(unit.db, (key.key for key in report.keys))
    sender = report.provenance.from_address
    if report.kind != REPLY or sender is None:
        return found
    theirs = {key: frozenset(n for n in numbers if _went_to(unit, n, sender)) for key, numbers in found.items()}
    return {key: numbers for key, numbers in theirs.items() if numbers}


def _went_to(unit: Unit, message: int, address: str) -> bool:
    """Whether a message was addressed to somebody else of this address: nobody answers himself."""
    written_by = sent_queries.load_message(unit.db, message).from_address
    if without_sub_address(written_by) == without_sub_address(address):
        return False
    return sent_queries.find_recipient(unit.db, message, (address,)) is not None


def _choose(unit: Unit, report: StoredReport, found: Mapping[str, frozenset[int]]) -> Match | Ambiguous | None:
    return choose(report.keys, found, replaces_message_id=report.account in unit.rules.replaces_message_id)


def _matched(choice: Match | Ambiguous | None) -> Matched:
    if isinstance(choice, Match):
        return Matched("matched", choice.message, choice.rung.value)
    return Matched("waiting" if choice is None else "ambiguous")


def _place_pieces(
    unit: Unit,
    report: StoredReport,
    choice: Match | Ambiguous | None,
    pieces: Iterable[tuple[Evidence, Placement | None]],
) -> None:
    """Place evidence, each piece with its placement until now; None for a piece that is not kept yet."""
    match = choice if isinstance(choice, Match) else None
    message = sent_queries.load_message(unit.db, match.message) if match else None
    for piece, before in pieces:
        _place_piece(unit, report, piece, before, message, match)


def _place_piece(  # noqa: PLR0913, PLR0917 - one step of `place`
    unit: Unit,
    report: StoredReport,
    piece: Evidence,
    before: Placement | None,
    message: StoredMessage | None,
    match: Match | None,
) -> None:
    recipient, after = _where(unit, report, piece, message, match)
    if after == before:
        return
    if before is None:
        report_queries.insert_evidence(unit.writes, piece, after)
    else:
        report_queries.place_evidence(unit.db, piece, after)
        if before.message is not None and before.recipient is not None:
            unit.stale.add((before.message, before.recipient))
    if message is None or match is None or recipient is None or after.graded is None:
        return
    unit.placed.append((match.rung.value, after.graded.grade.value))
    if after.graded.grade is Grade.CONTRADICTED:
        tell_suspicious(unit, report, message, recipient, after.graded)
    elif unit.rules.accepts(after.graded, message.account):
        if sent_queries.is_crowded(unit.db, recipient):
            silent = not (report.announce or unit.rules.announce_backfill)
            crowd = crowd_event(message, sent_queries.MAX_UNADDRESSED, unit.now)
            tell_once(unit, crowd, message, silent=silent)
            return
        if before is not None or not recipient.addressed:
            recipient = _remembered(unit, recipient)
        accept(unit, report, piece, message, match, after.graded, recipient)


def _where(
    unit: Unit, report: StoredReport, piece: Evidence, message: StoredMessage | None, match: Match | None
) -> tuple[StoredRecipient | None, Placement]:
    """Whom a piece of evidence is about, and how far it is trusted; nobody while its message is not known."""
    if message is None:
        return None, Placement()
    made_for = _made_for(unit, report, message)
    recipient = _recipient_of(unit, message, piece, made_for)
    return recipient, _placement(unit.rules, report, message, recipient, match, made_for)


def _placement(  # noqa: PLR0913, PLR0917 - one step of `place`
    rules: Rules,
    report: StoredReport,
    message: StoredMessage,
    recipient: StoredRecipient | None,
    match: Match | None,
    made_for: frozenset[str | None],
) -> Placement:
    address = recipient.address if recipient else None
    addressed = recipient is not None and recipient.addressed
    graded = grade(
        report.provenance,
        message.sent_at,
        address,
        addressed=addressed,
        rung=match.rung if match else None,
        own_mtas=rules.own_mtas,
        proof=proof(made_for, address or "", addressed=addressed),
    )
    return Placement(message.id, address, graded)


def _made_for(unit: Unit, report: StoredReport, message: StoredMessage) -> frozenset[str | None]:
    """For whom the tokens of a report were made; None: for all recipients of the message."""
    tokens = [key.key for key in report.keys if key.rung is Rung.TOKEN]
    return sent_queries.made_for(unit.db, message.id, tokens) if tokens else frozenset()


def _recipient_of(
    unit: Unit, message: StoredMessage, piece: Evidence, made_for: frozenset[str | None]
) -> StoredRecipient | None:
    """Original-Recipient, then Final-Recipient; else one never addressed.

    Without either the one for whom the report's token was made, or the only recipient.
    """
    addresses = (*piece.original, *piece.final)
    if not addresses:
        theirs = [one for one in made_for if one is not None]
        if len(theirs) == 1:
            return sent_queries.find_recipient(unit.db, message.id, theirs)
        return sent_queries.only_recipient(unit.db, message.id)
    found = sent_queries.find_recipient(unit.db, message.id, addresses)
    if piece.kind in REPLIES:
        return found
    return found or sent_queries.unaddressed_recipient(unit.db, message.id, addresses[0])


def _remembered(unit: Unit, recipient: StoredRecipient) -> StoredRecipient:
    """The recipient as it stands now; one that was never addressed is kept once evidence about it is accepted."""
    sent_queries.keep_recipient(unit.db, recipient)
    return sent_queries.load_recipient(unit.db, recipient.message, recipient.address) or recipient
