"""Evidence: one block of a report about one recipient, immutable once extracted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from mdnwatch.model.address import forms, split, without_case
from mdnwatch.model.reason import meaning
from mdnwatch.model.report import (
    Action,
    DispositionType,
    Dsn,
    FeedbackReport,
    Mdn,
    RecipientBlock,
    Reply,
    Report,
    Typed,
)
from mdnwatch.model.text import clean

type_json = str | int | bool | None | list[str] | dict[str, str]


class Kind(StrEnum):
    """What a piece of evidence says became of the message; the events of a recipient bear the same words."""

    SUBMITTED = "submitted"
    DELAYED = "delayed"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    DELIVERED = "delivered"
    FAILED = "failed"
    PROCESSED = "processed"
    DISPATCHED = "dispatched"
    DELETED = "deleted"
    DECLINED = "declined"
    DISPLAYED = "displayed"
    REPLIED = "replied"
    AUTO_REPLIED = "auto_replied"
    COMPLAINED = "complained"
    WARNING = "warning"  # a receipt that could not be made; shown beside the state, no event of its own


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one block claims. `original` and `final` are the plain addresses its fields can mean, likeliest first.

    `claimed_at` is the time the report gives, aware UTC; `observed_at` when the mail server took the report in.
    `member` is the address behind a rewriting, alias or list that a failure is about. `handed_over_to` names
    the host to which a "delivered" was a mere hand-over. `retry_until` is how long a delaying host will try, aware
    UTC; `return_date` the day on which an absence ends. `details` are the standard's fields, for people.
    """

    report_id: str
    block: int
    kind: Kind
    original: tuple[str, ...]
    final: tuple[str, ...]
    claimed_at: datetime | None
    observed_at: datetime
    reason: str | None = None
    member: str | None = None
    handed_over_to: str | None = None
    warnings: tuple[str, ...] = ()
    retry_until: datetime | None = None
    return_date: date | None = None
    details: Mapping[str, type_json] = field(default_factory=dict)


# RFC 3464 §2.3.3. An action that nobody could map is no evidence.
KIND_OF_ACTION: Mapping[Action, Kind] = {
    Action.SUBMITTED: Kind.SUBMITTED,
    Action.FAILED: Kind.FAILED,
    Action.DELAYED: Kind.DELAYED,
    Action.DELIVERED: Kind.DELIVERED,
    Action.RELAYED: Kind.RELAYED,
    Action.EXPANDED: Kind.EXPANDED,
}

# RFC 8098 §3.2.6.2; the last two are of RFC 2298 §3.2.6.
KIND_OF_DISPOSITION: Mapping[DispositionType, Kind] = {
    DispositionType.DISPLAYED: Kind.DISPLAYED,
    DispositionType.DELETED: Kind.DELETED,
    DispositionType.DISPATCHED: Kind.DISPATCHED,
    DispositionType.PROCESSED: Kind.PROCESSED,
    DispositionType.DENIED: Kind.DECLINED,
    DispositionType.FAILED: Kind.WARNING,
}

# RFC 5965 §7.3: the types of feedback with which a recipient, or a mail system for it, complains. The others do not:
# "not-spam" (RFC 6430) and "opt-out" are what they say, "auth-failure" (RFC 6591) is about somebody's forgery, "other"
# says nothing.
COMPLAINTS = frozenset({"abuse", "fraud", "virus"})

# RFC 2298 §3.2.6: modifiers that tell of trouble with the message or its receipt.
WARNING_MODIFIERS = frozenset({"error", "warning", "superseded", "expired", "mailbox-terminated"})

# Dovecot's and Cyrus's Sieve refuse by MDN (dovecot-sieve-reject-mdn-deleted-auto).
_DELIVERY_AGENT = re.compile(r"\b(?:mail delivery (?:agent|subsystem|system)|sieve|lmtpd?|cyrus)\b", re.IGNORECASE)


def extract(report: Report, report_id: str, observed_at: datetime) -> tuple[Evidence, ...]:
    """The evidence of a report, one piece for each block that says something; numbered by its block.

    `observed_at` is aware UTC. Blocks that say nothing usable are left out and keep their number.
    """
    if isinstance(report, Mdn):
        return _of_mdn(report, report_id, observed_at)
    if isinstance(report, Dsn):
        blocks = enumerate(report.recipients)
        return tuple(_of_block(report, block, n, report_id, observed_at) for n, block in blocks if _speaks(block))
    if isinstance(report, FeedbackReport):
        return _of_feedback(report, report_id, observed_at)
    if isinstance(report, Reply):
        return _of_reply(report, report_id, observed_at)
    return ()


def _speaks(block: RecipientBlock) -> bool:
    return block.action in KIND_OF_ACTION


def _of_mdn(mdn: Mdn, report_id: str, observed_at: datetime) -> tuple[Evidence, ...]:
    disposition = mdn.disposition
    # RFC 8098 §3.1: without a Disposition that is understood there is nothing to tell.
    if disposition is None or disposition.type is None:
        return ()
    refusal = is_refusal(mdn)
    kind = Kind.FAILED if refusal else KIND_OF_DISPOSITION[disposition.type]
    warnings = [modifier for modifier in disposition.modifiers if modifier in WARNING_MODIFIERS]
    if disposition.type is DispositionType.FAILED:
        warnings.append("failed")
    return (
        Evidence(
            report_id=report_id,
            block=0,
            kind=kind,
            original=forms(mdn.original_recipient),
            final=forms(mdn.final_recipient),
            claimed_at=mdn.head.date,
            observed_at=observed_at,
            reason="refused" if refusal else None,
            warnings=tuple(warnings),
            details=_mdn_details(mdn),
        ),
    )


def is_refusal(mdn: Mdn) -> bool:
    """Whether a "deleted" says that the message was refused at delivery rather than deleted unread.

    Only with automatic-action and a second sign: Exchange's "Not read" looks alike. A null Return-Path is no
    sign, since RFC 8098 §3 asks it of every MDN.
    """
    disposition = mdn.disposition
    if disposition is None or disposition.type is not DispositionType.DELETED:
        return False
    if disposition.action_mode != "automatic-action":
        return False
    local = split(mdn.head.from_address or "")[0].lower()
    return (
        "rejected" in (mdn.head.auto_submitted_comment or "").lower()
        or _DELIVERY_AGENT.search(mdn.reporting_ua or "") is not None
        or local == "postmaster"
    )


def _mdn_details(mdn: Mdn) -> dict[str, type_json]:
    """The fields in the property names of RFC 9007 §2."""
    disposition = mdn.disposition
    details: dict[str, type_json] = {}
    if disposition is not None:
        details["disposition"] = {
            "actionMode": disposition.action_mode or "",
            "sendingMode": disposition.sending_mode or "",
            "type": clean(disposition.type_as_sent),
        }
        if disposition.modifiers:
            details["modifiers"] = [clean(modifier) for modifier in disposition.modifiers]
    optional: dict[str, str | None] = {
        "reportingUA": mdn.reporting_ua,
        "finalRecipient": _field_form(mdn.final_recipient),
        "originalRecipient": _field_form(mdn.original_recipient),
        "originalMessageId": mdn.original_message_id,
        "mdnGateway": _field_form(mdn.mdn_gateway),
    }
    details.update({name: clean(value) for name, value in optional.items() if value})
    if mdn.errors:
        details["error"] = [clean(error) for error in mdn.errors]
    return details


def _of_block(dsn: Dsn, block: RecipientBlock, number: int, report_id: str, observed_at: datetime) -> Evidence:
    kind = KIND_OF_ACTION[block.action]
    original, final = forms(block.original_recipient), forms(block.final_recipient)
    remote = block.remote_mta.value if block.remote_mta else None
    return Evidence(
        report_id=report_id,
        block=number,
        kind=kind,
        original=original,
        final=final,
        claimed_at=block.last_attempt_date or dsn.head.date,
        observed_at=observed_at,
        reason=meaning(block).reason.value if kind is Kind.FAILED else None,
        member=_member(original, final) if kind is Kind.FAILED else None,
        # Leniency: Exim calls the hand-over to a host without DSN "delivered" (exim-EXrelay).
        handed_over_to=clean(remote) if kind is Kind.DELIVERED and remote else None,
        # RFC 3464 §2.3.9: only with "delayed".
        retry_until=block.will_retry_until if kind is Kind.DELAYED else None,
        details=_block_details(dsn, block),
    )


def _of_reply(reply: Reply, report_id: str, observed_at: datetime) -> tuple[Evidence, ...]:
    """An answer is about whoever gives it: who is not known as a recipient cannot be told by it either."""
    sender = reply.head.from_address
    if sender is None:
        return ()
    return (
        Evidence(
            report_id=report_id,
            block=0,
            kind=Kind.AUTO_REPLIED if reply.by_machine else Kind.REPLIED,
            original=(sender,),
            final=(),
            claimed_at=reply.head.date,
            observed_at=observed_at,
            return_date=reply.return_date,
            details={"auto_submitted": reply.keyword} if reply.keyword else {},
        ),
    )


def _of_feedback(report: FeedbackReport, report_id: str, observed_at: datetime) -> tuple[Evidence, ...]:
    if report.feedback_type not in COMPLAINTS:
        return ()
    return tuple(
        Evidence(
            report_id=report_id,
            block=number,
            kind=Kind.COMPLAINED,
            original=(address,) if address else (),
            final=(),
            claimed_at=report.head.date,
            observed_at=observed_at,
            details=_feedback_details(report, address),
        )
        for number, address in enumerate(_complainers(report))
    )


def _complainers(report: FeedbackReport) -> tuple[str | None, ...]:
    """Who complains: each Original-Rcpt-To, else the only one to whom the returned message is addressed.

    Where neither is known, None: the message's only recipient, if it has only one.
    """
    if report.original_rcpt_to:
        return report.original_rcpt_to
    addressed = report.returned.to_addresses if report.returned else ()
    return addressed if len(addressed) == 1 else (None,)


def _feedback_details(report: FeedbackReport, address: str | None) -> dict[str, type_json]:
    optional: dict[str, str | None] = {
        "feedback_type": report.feedback_type,
        "user_agent": report.user_agent,
        "original_rcpt_to": address,
        "original_mail_from": report.original_mail_from,
        "reported_domain": " ".join(report.reported_domain),
        "incidents": str(report.incidents) if report.incidents > 1 else None,
    }
    return {name: clean(value) for name, value in optional.items() if value}


def _member(original: tuple[str, ...], final: tuple[str, ...]) -> str | None:
    """The final recipient where the failure is about another address than the one written to."""
    if not original or not final:
        return None
    known = {without_case(form) for form in original}
    return None if any(without_case(form) in known for form in final) else final[0]


def _block_details(dsn: Dsn, block: RecipientBlock) -> dict[str, type_json]:
    retry = block.will_retry_until
    optional: dict[str, str | None] = {
        "reporting_mta": _field_form(dsn.reporting_mta),
        "original_envelope_id": dsn.original_envelope_id,
        "original_recipient": _field_form(block.original_recipient),
        "final_recipient": _field_form(block.final_recipient),
        "action": block.action_as_sent or block.action.value,
        "status": block.status,
        "diagnostic_code": _field_form(block.diagnostic_code),
        "remote_mta": _field_form(block.remote_mta),
        "will_retry_until": retry.isoformat() if retry else None,
    }
    return {name: clean(value) for name, value in optional.items() if value}


def _field_form(typed: Typed | None) -> str | None:
    if typed is None:
        return None
    return f"{typed.type}; {typed.value}" if typed.type else typed.value
