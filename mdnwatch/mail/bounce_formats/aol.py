"""AOL: screen names instead of addresses."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import Reading, Said, blocks
from mdnwatch.mail.notice import Notice

FORMAT = "aol"

# A screen name is the local part of an address at aol.com.
_ENTRY = re.compile(r"^\t(?P<name>[^\s@]{1,64})(?P<domain>@\S{1,255})?[ \t]*$", re.MULTILINE)
_DOMAIN = "@aol.com"


def claims(notice: Notice) -> bool:
    """By sender and sentence."""
    return (
        "@aol.com" in notice.sender.lower() and "mail to the following recipients could not be delivered" in notice.top
    )


def read(notice: Notice) -> Reading:
    """The indented screen names; the reason stands in the sentence above."""
    found = (
        Said(f"{match['name']}{match['domain'] or _DOMAIN}", notice.text) for match in _ENTRY.finditer(notice.text)
    )
    return Reading(blocks(found, notice.text))
