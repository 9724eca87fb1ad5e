"""Feedback reports (ARF: RFC 5965, with the types of RFC 6430 and RFC 6591), from their fields."""

from __future__ import annotations

import re

from mdnwatch.mail.addresses import first_address
from mdnwatch.mail.comments import strip_comments
from mdnwatch.mail.dates import parse_date
from mdnwatch.mail.fields import Block
from mdnwatch.mail.message_ids import message_id
from mdnwatch.mail.parts import Parts
from mdnwatch.model.report import FeedbackReport

# A report names the recipients of one message; a list of more is none of feedback.
MAX_RCPT_TO = 100

# RFC 5965 §3.1 and §3.2; each makes a report of the fields in which it stands.
_OWN_FIELDS = frozenset({"feedback-type", "original-mail-from", "original-rcpt-to", "source-ip", "reported-domain"})
# Where the original came from, however it is written.
_IP_FIELDS = frozenset({"source-ip", "source-port"})
_IPV4 = r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"
# Four groups at least, or a gap: a time of day has three.
_IPV6 = r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{1,4}(?![\w:])|::[0-9A-Fa-f]{1,4}"
_IP = re.compile(f"{_IPV4}|{_IPV6}")
# RFC 5965 §3.2: "Incidents" is a 32-bit number.
_INCIDENTS = re.compile(r"\d{1,10}", re.ASCII)
_KEYWORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def read_arf(parts: Parts, fields: Block, defects: list[str]) -> FeedbackReport | None:
    """The feedback that some fields give; None where they hold no field of a feedback report."""
    if not _OWN_FIELDS & fields.names():
        return None
    feedback_type = _keyword(fields.take("feedback-type"))
    user_agent, version = fields.take("user-agent"), fields.take("version")
    # RFC 5965 §3.1: these appear exactly once. Other versions than 1 are tolerated: drafts had 0.1.
    for name, value in (("feedback-type", feedback_type), ("user-agent", user_agent), ("version", version)):
        if not value:
            defects.append(f"no-{name}")
    for name in _IP_FIELDS:
        fields.take_all(name)
    # RFC 5965 §3.2: either, of which Received-Date is the older name.
    arrived = fields.take("arrival-date") or fields.take("received-date")
    fields.take("received-date")
    return FeedbackReport(
        head=parts.head,
        format="rfc5965",
        report_part=parts.report_part,
        returned=parts.returned,
        original_envelope_id=fields.take("original-envelope-id"),
        inline_message_ids=(),
        defects=tuple(dict.fromkeys(defects)),
        feedback_type=feedback_type,
        user_agent=user_agent,
        version=version,
        original_mail_from=_reverse_path(fields.take("original-mail-from")),
        original_rcpt_to=_recipients(fields),
        # Leniency: Comcast's feedback loop names the id here (arf-comcast).
        original_message_id=message_id(fields.take("original-message-id")),
        arrival_date=parse_date(arrived) if arrived else None,
        reported_domain=fields.take_all("reported-domain"),
        incidents=_incidents(fields.take("incidents")),
        extensions=tuple((name, value) for name, value in fields.extensions() if _IP.search(value) is None),
    )


def _recipients(fields: Block) -> tuple[str, ...]:
    """RFC 5965 §3.2: Original-Rcpt-To may stand several times.

    Leniency: drafts of the format named who opts out in Removal-Recipient (arf-draft-opt-out).
    """
    values = fields.take_all("original-rcpt-to") or fields.take_all("removal-recipient")
    found = (first_address(value) for value in values[:MAX_RCPT_TO])
    return tuple(dict.fromkeys(address for address in found if address and "@" in address))


def _reverse_path(value: str | None) -> str | None:
    if value is None:
        return None
    return first_address(value) or ""


def _keyword(value: str | None) -> str | None:
    # RFC 5965 §3.1: the value is case-insensitive; comments may follow.
    found = _KEYWORD.match(strip_comments(value or ""))
    return found[0].lower() if found else None


def _incidents(value: str | None) -> int:
    found = _INCIDENTS.match(value or "")
    return int(found[0]) if found else 1
