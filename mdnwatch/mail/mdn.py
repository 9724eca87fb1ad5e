"""Message disposition notifications (RFC 8098, with the values of RFC 2298 and RFC 3798), from their fields."""

from __future__ import annotations

import re

from mdnwatch.mail.comments import strip_comments
from mdnwatch.mail.fields import Block, typed
from mdnwatch.mail.message_ids import original_message_ids
from mdnwatch.mail.parts import Parts
from mdnwatch.model.report import Disposition, DispositionType, Mdn

# RFC 8098 §3.2.6.1, RFC 2298 §3.2.6.1
_ACTION_MODES = frozenset({"manual-action", "automatic-action"})
_TYPES = frozenset(DispositionType)
_BLANKS = re.compile(r"\s+")


def read_mdn(parts: Parts, fields: Block, defects: list[str]) -> Mdn | None:
    """The notification of some fields; None where they hold no Disposition, which tells all there is to tell."""
    disposition = parse_disposition(fields.take("disposition") or "")
    if disposition is None:
        return None
    if disposition.type is None:
        defects.append("disposition-type-unknown")
    final = typed(fields.take("final-recipient"))
    if final is None:
        # RFC 8098 §3.2.4: "must be present". DirectProject's agent leaves it out.
        defects.append("no-final-recipient")
    # Leniency: several ids in one field.
    originals = original_message_ids(fields.take("original-message-id"))
    original = typed(fields.take("original-recipient"))
    reporting_ua = fields.take("reporting-ua")
    gateway = typed(fields.take("mdn-gateway"))
    # RFC 8098 §3.2.7: the text of Error has no comments.
    errors = fields.take_all("error")
    return Mdn(
        head=parts.head,
        format="rfc8098",
        report_part=parts.report_part,
        returned=parts.returned,
        original_envelope_id=fields.take("original-envelope-id"),
        inline_message_ids=() if originals else parts.inline_message_ids(),
        defects=tuple(defects),
        disposition=disposition,
        final_recipient=final,
        original_recipient=original,
        original_message_id=originals[0] if originals else None,
        original_message_ids=originals,
        reporting_ua=reporting_ua,
        mdn_gateway=gateway,
        errors=errors,
        extensions=fields.extensions(),
    )


def parse_disposition(text: str) -> Disposition | None:
    """A Disposition field; None where it names no type.

    RFC 8098 §3.2.6: action-mode "/" sending-mode ";" type [ "/" modifier *( "," modifier ) ], with comments and
    blanks anywhere between, in any case. Leniency: modes may be missing.
    """
    # RFC 8098 §3.2.6: values are case-insensitive.
    value = strip_comments(text).lower()
    modes, semicolon, rest = value.partition(";")
    if not semicolon:
        modes, rest = ("", value) if modes.partition("/")[0].strip() not in _ACTION_MODES else (value, "")
    kind, _, modifiers = rest.partition("/")
    kind = _token(kind)
    if not kind:
        return None
    action_mode, _, sending_mode = modes.partition("/")
    return Disposition(
        action_mode=_token(action_mode) or None,
        sending_mode=_token(sending_mode) or None,
        type=DispositionType(kind) if kind in _TYPES else None,
        type_as_sent=kind,
        modifiers=tuple(token for token in map(_token, modifiers.split(",")) if token),
    )


def _token(text: str) -> str:
    return _BLANKS.sub(" ", text.strip(" \t;,."))
