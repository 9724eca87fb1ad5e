"""Delivery status notifications (RFC 3464, RFC 1894, RFC 6533), from their blocks of fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from mdnwatch.mail.comments import strip_comments
from mdnwatch.mail.dates import parse_date
from mdnwatch.mail.fields import Block, joined, typed
from mdnwatch.mail.message_ids import original_message_ids
from mdnwatch.mail.parts import Parts
from mdnwatch.mail.status_code import parse_status
from mdnwatch.model.report import Action, Dsn, RecipientBlock, Typed
from mdnwatch.model.smtp_reply import enhanced_code

# As many as common limits on recipients of a message allow; each takes about a kilobyte.
MAX_RECIPIENTS = 2000

# RFC 3464 §2.2
_PER_MESSAGE = frozenset({"original-envelope-id", "reporting-mta", "dsn-gateway", "received-from-mta", "arrival-date"})
# RFC 3464 §2.3.1 and §2.3.2
_RECIPIENT = frozenset({"final-recipient", "original-recipient"})
# A block has one of these at most: a second one begins the next recipient where the blank line is missing.
_ONCE = _RECIPIENT | {"action", "status"}
# RFC 3464 §2.3: a block with any of these is about a recipient.
_PER_RECIPIENT = _ONCE | {"diagnostic-code", "remote-mta", "last-attempt-date", "will-retry-until", "final-log-id"}

# RFC 3464 §2.3.3, and what was seen in its place. A note of the RFC itself speaks of "failure"; old OpenSMTPD
# wrote "error".
_ACTIONS: Mapping[str, Action] = MappingProxyType(
    {action.value: action for action in Action if action is not Action.UNKNOWN}
    | {"failure": Action.FAILED, "error": Action.FAILED, "expired": Action.FAILED}
)


def is_action(text: str | None) -> bool:
    """Whether an Action field says something of RFC 3464 §2.3.3, or what is known to be meant so."""
    return _action(text) is not Action.UNKNOWN


def read_dsn(parts: Parts, blocks: Iterable[Block], defects: list[str]) -> Dsn | None:
    """The notification of some blocks; None where none of them is about a recipient."""
    per_message: list[Block] = []
    per_recipient: list[Block] = []
    for block in blocks:
        _sort(block, per_message, per_recipient)
    if not per_recipient:
        return None
    if len(per_recipient) > MAX_RECIPIENTS:
        defects.append("too-many-recipients")
    message = joined(per_message)
    return Dsn(
        head=parts.head,
        format="rfc3464",
        report_part=parts.report_part,
        returned=parts.returned,
        # RFC 3464 §2.2.1: case is kept. Haraka puts the Message-ID here, in angle brackets (haraka-HKmix).
        original_envelope_id=message.take("original-envelope-id") or None,
        # DirectProject's agent puts the original's id into the report as X-Original-Message-Id.
        inline_message_ids=original_message_ids(message.get("x-original-message-id")) or parts.inline_message_ids(),
        reporting_mta=_reporting_mta(message, defects),
        dsn_gateway=typed(message.take("dsn-gateway")),
        received_from_mta=typed(message.take("received-from-mta")),
        arrival_date=_date(message, "Arrival-Date", defects),
        recipients=tuple([_recipient(block, defects) for block in per_recipient[:MAX_RECIPIENTS]]),
        extensions=message.extensions(),
        defects=tuple(dict.fromkeys(defects)) if defects else (),
    )


def read_recipients(blocks: Iterable[Block], defects: list[str]) -> tuple[RecipientBlock, ...]:
    """The recipients of some blocks alone, for fields that stand in a text."""
    per_message: list[Block] = []
    per_recipient: list[Block] = []
    for block in blocks:
        _sort(block, per_message, per_recipient)
    return tuple([_recipient(block, defects) for block in per_recipient[:MAX_RECIPIENTS]])


def _sort(block: Block, per_message: list[Block], per_recipient: list[Block]) -> None:
    """Put a block where it belongs.

    By what it holds, not by where it stands: Mimecast and GNU mailutils write all fields in one block, gateways
    add blank lines, Gmail's API puts a block of MIME fields in front.
    """
    names = block.names()
    if _PER_RECIPIENT.isdisjoint(names):
        # Without a recipient in it, a block after the recipients is still about the message.
        per_message.append(block)
        return
    if not _PER_MESSAGE.isdisjoint(names):
        per_message.append(Block([field for field in block.fields if field[0].lower() in _PER_MESSAGE]))
        block = Block([field for field in block.fields if field[0].lower() not in _PER_MESSAGE])
    groups = _groups(block) if block.repeats() else [block]
    if per_recipient and _are_halves(per_recipient[-1], groups[0]):
        groups[0] = joined((per_recipient.pop(), groups[0]))
    per_recipient.extend(groups)


def _are_halves(one: Block, other: Block) -> bool:
    """Whether a blank line tore the block of one recipient in two.

    Then one half names no recipient, and no field stands in both. Boxbe writes Action among the fields of the message.
    """
    if not (_RECIPIENT.isdisjoint(one.names()) or _RECIPIENT.isdisjoint(other.names())):
        return False
    return all(name not in one for name in other.names() if name in _PER_RECIPIENT)


def _groups(block: Block) -> list[Block]:
    """The recipients of a block, of which it has one unless a blank line is missing."""
    groups: list[list[tuple[str, str]]] = [[]]
    seen: set[str] = set()
    for field in block.fields:
        name = field[0].lower()
        if name in _ONCE:
            if name in seen and not seen.isdisjoint(_RECIPIENT):
                groups.append([])
                seen = set()
            seen.add(name)
        groups[-1].append(field)
    whole = groups[:1]
    for group in groups[1:]:
        # A field that is merely doubled begins no other recipient.
        if any(name.lower() in _RECIPIENT for name, _ in group):
            whole.append(group)
        else:
            whole[-1].extend(group)
    return [Block(group) for group in whole]


def _reporting_mta(message: Block, defects: list[str]) -> Typed | None:
    found = typed(message.take("reporting-mta"))
    if found is None:
        # RFC 3464 §2.2.2 requires it; McAfee's gateway leaves it out.
        defects.append("no-reporting-mta")
    return found


def _recipient(fields: Block, defects: list[str]) -> RecipientBlock:
    final = typed(fields.take("final-recipient"))
    if final is None:
        # RFC 3464 §2.3.2 requires it; McAfee's gateway gives only Original-Recipient.
        defects.append("no-final-recipient")
    status = _status(fields, defects)
    action_as_sent = fields.take("action")
    return RecipientBlock(
        final_recipient=final,
        original_recipient=typed(fields.take("original-recipient")),
        action=_action_of(action_as_sent, status, defects),
        action_as_sent=action_as_sent,
        status=status,
        diagnostic_code=typed(fields.take("diagnostic-code")),
        remote_mta=typed(fields.take("remote-mta")),
        last_attempt_date=_date(fields, "Last-Attempt-Date", defects),
        will_retry_until=_date(fields, "Will-Retry-Until", defects),
        final_log_id=fields.take("final-log-id"),
        extensions=fields.extensions(),
    )


def _action_of(text: str | None, status: str | None, defects: list[str]) -> Action:
    action = _action(text)
    if text:
        if action is Action.UNKNOWN:
            defects.append("action-unknown")
        return action
    # RFC 3464 §2.3.3 requires it. Without it, a permanent status (RFC 3463 §2) can mean nothing else than failed.
    defects.append("no-action")
    return Action.FAILED if status and status[0] == "5" else Action.UNKNOWN


def _action(text: str | None) -> Action:
    # Leniency: Sendmail adds comments, `relayed (to non-DSN-aware mailer)` (sendmail-SMrelay).
    return _ACTIONS.get(strip_comments(text).lower(), Action.UNKNOWN) if text else Action.UNKNOWN


def _status(fields: Block, defects: list[str]) -> str | None:
    text = fields.take("status")
    if not text:
        # RFC 3464 §2.3.4 requires it; Haraka leaves it out (haraka-HKdefer). What the remote server said may have it.
        defects.append("no-status")
        return enhanced_code(fields.get("diagnostic-code") or "")
    status = parse_status(text)
    if status is None:
        defects.append("bad-status")
        fields.keep("Status", text)
    return status


def _date(fields: Block, name: str, defects: list[str]) -> datetime | None:
    text = fields.take(name.lower())
    if not text:
        return None
    date = parse_date(text)
    if date is None:
        # A bad date never fails the report: it is kept as text.
        defects.append("bad-date")
        fields.keep(name, text)
    return date
