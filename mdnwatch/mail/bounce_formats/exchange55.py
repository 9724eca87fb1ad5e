"""Microsoft Exchange 4.0 to 5.5 (Internet Mail Connector and Service)."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import Reading, Said, blocks, find_addresses, said_after
from mdnwatch.mail.notice import Notice

FORMAT = "exchange55"

# `NAME on DATE`, where the name is an address, a display name, or an X.400 address.
_ENTRY = re.compile(
    r"^[ \t]{0,12}(?P<address>[^\s][^\n]{0,300}?) on (?:\w{3}, \d|\d{1,2}[/.-]\d)(?P<words>).*+$", re.MULTILINE
)
# RFC 1327 §4.7: an RFC 822 address as a domain-defined attribute of an X.400 address.
_DOMAIN_DEFINED = re.compile(r"\bSMTP=(?P<address>[^\s;,@]{1,64}@[\w.-]{1,255})", re.IGNORECASE)
_HEADINGS = ("did not reach the following recipient(s):", "the following recipient(s) could not be reached:")


def claims(notice: Notice) -> bool:
    """By the heading and an entry below it."""
    return any(heading in notice.top for heading in _HEADINGS) and _ENTRY.search(notice.text) is not None


def read(notice: Notice) -> Reading:
    """The entries below the heading; a recipient of whom only the display name is told has no address."""
    start = max(notice.text.lower().find(heading) for heading in _HEADINGS)
    found = [said._replace(address=_address(said.address)) for said in said_after(notice.text[start:], _ENTRY)]
    return Reading(blocks(found or [Said("", notice.text[start:])], notice.text))


def _address(name: str) -> str:
    defined = _DOMAIN_DEFINED.search(name)
    if defined is not None:
        return defined["address"]
    return next(iter(find_addresses(name)), "")
