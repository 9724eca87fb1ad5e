"""Mail that mdnwatch writes by itself, and how it is known again: reports about it must never cause an event."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mdnwatch.model.correlation import LookupKey, Rung

# No mail program makes such an identifier. Whoever copies one only keeps a report of their own from being told.
_OWN = r"<mdnwatch\.notice\.[0-9a-f]{32}@[^<>@\s]+>"
_ABOUT = frozenset({Rung.ORIGINAL_MESSAGE_ID, Rung.RETURNED_MESSAGE_ID, Rung.IN_REPLY_TO})
_OWN_ID = re.compile(_OWN)
_IN_BYTES = re.compile(_OWN.encode("ascii"))


def message_id(token: str, domain: str) -> str:
    """The Message-ID of a notice, with angle brackets; `token` is 32 hexadecimal digits."""
    return f"<mdnwatch.notice.{token}@{domain}>"


def is_own(identifier: str) -> bool:
    """Whether a Message-ID, with angle brackets, is that of a notice."""
    return _OWN_ID.fullmatch(identifier) is not None


def is_about_own(keys: Sequence[LookupKey], message: bytes) -> bool:
    """Whether a report with these keys is about a notice, or a reply is one to a notice.

    What it is about decides: somebody's answer to a notice bears its Message-ID among the references, and a bounce of
    that answer, or of a mail to which a notice is attached, is about a message of ours. Only where a report names
    nothing at all, any mention does.
    """
    about = [key for key in keys if key.rung in _ABOUT] or keys
    if about:
        return any(is_own(key.key.removeprefix("m:")) for key in about)
    return _IN_BYTES.search(message) is not None
