"""JetMail: recipients by the name of their account."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, Said, blocks
from mdnwatch.mail.notice import Notice

FORMAT = "jetmail"

_ENTRY = re.compile(rf"^ (?P<address>{ADDRESS}|[^\s@]{{1,64}})[ \t]{{1,4}}\"(?P<words>[^\n]*+)$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its sender."""
    return "jetmail system" in notice.sender.lower()


def read(notice: Notice) -> Reading:
    """One recipient a line; an account's name is no address."""
    found = [
        Said(match["address"] if "@" in match["address"] else "", match[0]) for match in _ENTRY.finditer(notice.text)
    ]
    return Reading(blocks(found, notice.text))
