"""What a report says of itself in its header, and what the returned part says of the original."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

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


class _Lazy:
    """A value whose fields are read from a header when they are first asked for: of most reports few ever are.

    Python asks `__getattr__` for slots that are still empty, and for nothing else that there is.
    """

    __slots__ = ()
    _READERS: ClassVar[Mapping[str, Callable[[Header], object]]]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - each field has its own type
        if name not in self._READERS:
            raise AttributeError(name)
        value = self._READERS[name](self._header)
        object.__setattr__(self, name, value)
        return value


class _Head(_Lazy, Head):
    __slots__ = ("_header",)
    _READERS = MappingProxyType(
        {
            "message_id": lambda header: message_id(header.get("message-id")),
            "date": lambda header: parse_date(header.get("date") or ""),
            "date_as_sent": lambda header: header.get("date") or "",
            "from_address": lambda header: first_address(header.get("from") or ""),
            "from_as_sent": lambda header: header.get("from") or "",
            "to_addresses": lambda header: addresses(header.get("to")),
            "subject": lambda header: decode_words(header.get("subject") or ""),
            "return_path": return_path,
            "in_reply_to": lambda header: message_ids(header.get("in-reply-to")),
            "references": lambda header: message_ids(header.get("references")),
            "auto_submitted": auto_submitted,
            "auto_submitted_comment": lambda header: first_comment(header.get("auto-submitted") or ""),
            "authentication_results": lambda header: header.all("authentication-results"),
            "delivered_to": _delivered_to,
        }
    )

    def __init__(self, header: Header) -> None:
        object.__setattr__(self, "_header", header)


class _Returned(_Lazy, Returned):
    __slots__ = ("_header", "_read_header")
    _READERS = MappingProxyType(
        {
            "message_id": lambda header: message_id(header.get("message-id")),
            "from_address": lambda header: first_address(header.get("from")),
            "to_addresses": lambda header: addresses(header.get("to")),
            "return_path": return_path,
            "other_message_ids": other_message_ids,
            "subject": lambda header: None if (text := header.get("subject")) is None else decode_words(text),
            "date": lambda header: parse_date(text) if (text := header.get("date")) else None,
        }
    )

    def __init__(self, media_type: str, read_header: Callable[[], Header]) -> None:
        object.__setattr__(self, "media_type", media_type)
        object.__setattr__(self, "_read_header", read_header)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - each field has its own type
        if name == "_header":
            # The header itself is read as late.
            object.__setattr__(self, name, self._read_header())
            return self._header
        return super().__getattr__(name)


def read_head(header: Header) -> Head:
    """The head of a report."""
    return _Head(header)


def read_returned(part: Part) -> Returned:
    """What the returned original, or its header, says (RFC 6522 §3)."""
    return _Returned(part.media_type, lambda: _returned_header(part))


def returned_of(header: Header, media_type: str) -> Returned:
    """What the header of a returned original says; `media_type` is that of the part in which it stands."""
    return _Returned(media_type, lambda: header)
