"""What a report says of itself in its header, and what the returned part says of the original."""

from __future__ import annotations

import re

from mdnwatch.mail.addresses import addresses, first_address
from mdnwatch.mail.comments import first_comment
from mdnwatch.mail.dates import parse_date
from mdnwatch.mail.header import Header
from mdnwatch.mail.message_ids import message_id, message_ids, original_message_ids
from mdnwatch.mail.mime import Part, read_header
from mdnwatch.mail.transfer import with_lf
from mdnwatch.mail.words import decode_words
from mdnwatch.model.report import Head, Returned

# RFC 6522 §3 and RFC 6533 §4.4. Leniencies: VOPmail and MailSite say message/rfc822-headers, Bigfoot message/partial,
# opt-out reports of a draft of RFC 5965 text/rfc822-header (arf-draft-opt-out).
RETURNED_TYPES = frozenset(
    {
        "message/rfc822",
        "text/rfc822-headers",
        "message/global",
        "message/global-headers",
        "message/rfc822-headers",
        "message/partial",
        "text/rfc822-header",
    }
)

# Of a returned message only the header is read.
MAX_RETURNED_HEADER = 256 * 1024  # bytes

# Outlook's submission servers write the first of them, and senders who know that a provider replaces the id (Delta
# Chat, for Amazon); Gmail's the second; lists and others the third.
_OTHER_IDS = ("x-microsoft-original-message-id", "x-google-original-message-id", "x-original-message-id")
_ANY_OTHER_IDS = frozenset(_OTHER_IDS)
MAX_OTHER_IDS = 5

# Delivery agents add one each; more than this is a loop.
MAX_DELIVERED = 10
# What delivery agents write (Postfix: Delivered-To and X-Original-To; Exim: Envelope-To).
_DELIVERED = ("delivered-to", "x-original-to", "envelope-to")
_ANY_DELIVERED = frozenset({*_DELIVERED, "original-recipient"})

_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
# RFC 3834 §5: keyword, then parameters or comments.
_KEYWORD = re.compile(r"[^\s;(]+")


def read_head(header: Header) -> Head:
    """The head of a report."""
    sender = header.get("from") or ""
    date = header.get("date") or ""
    automatic = header.get("auto-submitted")
    return Head(
        message_id=message_id(header.get("message-id")),
        date=parse_date(date),
        date_as_sent=date,
        from_address=first_address(sender),
        from_as_sent=sender,
        to_addresses=addresses(header.get("to")),
        subject=decode_words(header.get("subject") or ""),
        return_path=return_path(header),
        in_reply_to=message_ids(header.get("in-reply-to")),
        references=message_ids(header.get("references")),
        auto_submitted=auto_submitted(header),
        auto_submitted_comment=first_comment(automatic) if automatic else None,
        authentication_results=header.all("authentication-results"),
        delivered_to=_delivered_to(header),
    )


def auto_submitted(header: Header) -> str | None:
    """The lower-case keyword of Auto-Submitted (RFC 3834 §5); None without one."""
    text = header.get("auto-submitted")
    keyword = _KEYWORD.match(text) if text else None
    return keyword[0].lower() if keyword else None


def _delivered_to(header: Header) -> tuple[str, ...]:
    if not header.has_any(_ANY_DELIVERED):
        return ()
    found = [address for name in _DELIVERED for text in header.all(name) for address in addresses(text)]
    # RFC 8098 §2.3: "Original-Recipient" has a type before the address.
    typed = [text.partition(";")[2] for text in header.all("original-recipient")]
    return tuple(dict.fromkeys([*found, *(address for text in typed for address in addresses(text))]))[:MAX_DELIVERED]


def return_path(header: Header) -> str | None:
    """The reverse-path (RFC 5321 §4.4), "" for the null one; None without such a field."""
    text = header.get("return-path")
    return None if text is None else text.strip("<> \t")


def read_returned(part: Part) -> Returned:
    """What the returned original, or its header, says (RFC 6522 §3)."""
    return returned_of(_returned_header(part), part.media_type)


def returned_of(header: Header, media_type: str) -> Returned:
    """What the header of a returned original says; `media_type` is that of the part in which it stands."""
    subject = header.get("subject")
    date = header.get("date")
    return Returned(
        media_type=media_type,
        message_id=message_id(header.get("message-id")),
        from_address=first_address(header.get("from")),
        to_addresses=addresses(header.get("to")),
        return_path=return_path(header),
        other_message_ids=other_message_ids(header),
        subject=None if subject is None else decode_words(subject),
        date=parse_date(date) if date else None,
    )


def other_message_ids(header: Header) -> tuple[str, ...]:
    """What a message was called before a provider gave it the Message-ID that it has, with angle brackets."""
    if not header.has_any(_ANY_OTHER_IDS):
        return ()
    found = [one for name in _OTHER_IDS for text in header.all(name) for one in original_message_ids(text)]
    return tuple(dict.fromkeys(found))[:MAX_OTHER_IDS]


def _returned_header(part: Part) -> Header:
    if part.encoding in _IDENTITY:
        return read_header(part.data, part.body, min(part.end, part.body + MAX_RETURNED_HEADER))
    raw = with_lf(part.content(MAX_RETURNED_HEADER))
    return read_header(raw, 0, len(raw))
