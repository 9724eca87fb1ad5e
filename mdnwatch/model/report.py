"""One received message that tells of a sent one, as the standards name its parts (RFC 8098, RFC 3464, RFC 5965)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

# The defect of a report that follows no known format and was understood by its words alone: it is graded lower.
HEURISTIC = "heuristic"


class DispositionType(StrEnum):
    """RFC 8098 §3.2.6.2; `denied` and `failed` are of RFC 2298 §3.2.6 and still sent."""

    DISPLAYED = "displayed"
    DELETED = "deleted"
    DISPATCHED = "dispatched"
    PROCESSED = "processed"
    DENIED = "denied"
    FAILED = "failed"


class Action(StrEnum):
    """RFC 3464 §2.3.3; UNKNOWN stands for a value that the standard does not have and nobody could map.

    SUBMITTED is no action of the standard: certified mail confirms that it took a message in (RFC 6109 §3.1.4).
    """

    SUBMITTED = "submitted"
    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Typed:
    """A value with its type before the semicolon: an address, an MTA name or a diagnostic code (RFC 3464 §2.1.2).

    `type` is lower-case, or None where the sender left it out; `value` is as sent, without surrounding blanks.
    """

    type: str | None
    value: str


@dataclass(frozen=True, slots=True)
class Disposition:
    """The Disposition field (RFC 8098 §3.2.6), lower-cased, without comments.

    `type` is None for a value that no RFC has; then `type_as_sent` still holds it.
    """

    action_mode: str | None
    sending_mode: str | None
    type: DispositionType | None
    type_as_sent: str
    modifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Returned:
    """The part that returns the original, or its header (RFC 3462 §2); Message-IDs with angle brackets."""

    media_type: str
    message_id: str | None = None
    from_address: str | None = None
    to_addresses: tuple[str, ...] = ()
    return_path: str | None = None  # "" is the null reverse-path; None: no such field
    other_message_ids: tuple[str, ...] = ()  # what it was called before a provider gave it its Message-ID
    subject: str | None = None
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What the report says of itself, in its own header.

    Message-IDs with angle brackets; addresses plain, as sent; dates aware UTC, None where missing or unreadable.
    """

    message_id: str | None = None
    date: datetime | None = None
    date_as_sent: str = ""
    from_address: str | None = None
    from_as_sent: str = ""
    to_addresses: tuple[str, ...] = ()
    subject: str = ""
    return_path: str | None = None  # "" is the null reverse-path; None: no such field
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()  # in the order of the field: the last is the nearest
    auto_submitted: str | None = None  # lower-case keyword, RFC 3834 §5
    auto_submitted_comment: str | None = None
    authentication_results: tuple[str, ...] = ()  # topmost first, unfolded
    delivered_to: tuple[str, ...] = ()  # plain addresses for which delivery agents took it in


@dataclass(frozen=True, slots=True)
class RecipientBlock:
    """The per-recipient fields of a DSN (RFC 3464 §2.3).

    `explanation` is what the text for people says of the recipient, on one line, where the fields do not say it.
    """

    final_recipient: Typed | None
    original_recipient: Typed | None
    action: Action
    action_as_sent: str | None
    status: str | None  # "5.1.1", without comment
    diagnostic_code: Typed | None = None
    remote_mta: Typed | None = None
    last_attempt_date: datetime | None = None
    will_retry_until: datetime | None = None
    final_log_id: str | None = None
    extensions: tuple[tuple[str, str], ...] = ()
    explanation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What every report has.

    `report_part` is the decoded report part (without such a part the first text part), from which the
    report_id is made. `inline_message_ids` are those found in the text of a bounce, with angle brackets.
    `defects` are codes of what was wrong with the message, in the order found.
    """

    head: Head
    format: str  # "rfc8098", "rfc3464", or the name of a bounce format
    report_part: bytes
    returned: Returned | None = None
    original_envelope_id: str | None = None
    inline_message_ids: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mdn(Report):
    """A message disposition notification (RFC 8098); about exactly one message and one recipient (§2.1)."""

    disposition: Disposition | None
    final_recipient: Typed | None = None
    original_recipient: Typed | None = None
    original_message_id: str | None = None  # with angle brackets
    original_message_ids: tuple[str, ...] = ()  # all that the field holds, where it holds several
    reporting_ua: str | None = None  # as sent: "name; product"
    mdn_gateway: Typed | None = None
    errors: tuple[str, ...] = ()
    extensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsn(Report):
    """A delivery status notification (RFC 3464), or a bounce of another `format` that tells the same."""

    recipients: tuple[RecipientBlock, ...]
    reporting_mta: Typed | None = None
    dsn_gateway: Typed | None = None
    received_from_mta: Typed | None = None
    arrival_date: datetime | None = None
    extensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackReport(Report):
    """Feedback on a message (RFC 5965): a complaint, or what else `feedback_type` says.

    Source-IP is not kept, and no extension that holds an IP address: they are nobody's business here.
    """

    feedback_type: str | None  # lower-case: "abuse", "not-spam", "opt-out"; None where the report has none
    user_agent: str | None = None
    version: str | None = None
    original_mail_from: str | None = None  # plain, "" is the null reverse-path
    original_rcpt_to: tuple[str, ...] = ()  # plain addresses
    original_message_id: str | None = None  # with angle brackets; no field of the standard, yet written
    arrival_date: datetime | None = None  # when the original arrived, not when it was complained about
    reported_domain: tuple[str, ...] = ()
    incidents: int = 1
    extensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(Report):
    """An answer to a message, by a person or by a machine (RFC 3834).

    `automatic`: a responder's; `by_machine`: that, or another machine's, such as a ticket system's.
    `keyword` is the kind of machine, "auto-replied", "auto-notified" or "auto-generated" (RFC 3834 §5, RFC 5436 §2.7).
    `return_date` is the day on which an absence ends, where the notice says it plainly. `via_list`: a mailing list
    passed it on.
    """

    automatic: bool
    by_machine: bool
    keyword: str | None = None
    return_date: date | None = None
    via_list: bool = False


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that declares a report type but holds no usable report; `reason` is one sentence for people."""

    head: Head
    declared: str  # the report type it declares, as "disposition-notification"
    reason: str
    report_part: bytes
    defects: tuple[str, ...] = field(default=())
    returned: Returned | None = None  # which message it is about, where that much can be read


def report_id(head: Head, report_part: bytes) -> str:
    """The identity of a report, the same wherever it is seen: 64 lower-case hexadecimal digits.

    A SHA-256 over Message-ID, Date, From and the decoded report part. Line ends and trailing blanks
    are normalised first, since servers and gateways change them.
    """
    normalised = report_part
    if b"\r" in normalised:
        normalised = normalised.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for end in (b" \n", b"\t\n"):
        if end in normalised:
            normalised = b"\n".join([piece.rstrip(b" \t") for piece in normalised.split(end)])
    normalised = normalised.rstrip(b" \t").strip(b"\n")
    digest = hashlib.sha256()
    for text in (head.message_id or "", head.date_as_sent, head.from_as_sent):
        digest.update(" ".join(text.split()).encode("utf-8", "surrogateescape"))
        digest.update(b"\0")
    digest.update(normalised)
    return digest.hexdigest()
