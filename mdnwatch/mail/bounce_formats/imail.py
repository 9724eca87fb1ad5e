"""Ipswitch IMail."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, Said, blocks
from mdnwatch.mail.notice import Notice

FORMAT = "imail"

# One line for each recipient: what happened, and to whom.
_ENTRY = re.compile(rf"^(?P<words>[A-Za-z][^@\n]{{0,80}}?(?:: | to ))(?P<address>{ADDRESS})[ \t]*$", re.MULTILINE)
_MAILER = "<SMTP32"


def claims(notice: Notice) -> bool:
    """By its X-Mailer, or by its subject and first line where a gateway dropped that field."""
    if (notice.header.get("x-mailer") or "").startswith(_MAILER):
        return True
    return notice.subject == "Undeliverable Mail" and _ENTRY.match(notice.text) is not None


def read(notice: Notice) -> Reading:
    """The lines with an address at their end."""
    found = (Said(match["address"], match[0]) for match in _ENTRY.finditer(notice.text))
    return Reading(blocks(found, notice.text))
