"""Zoho Mail."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "zoho"

_ENTRY = re.compile(rf"^\[?(?P<address>{ADDRESS})\]?(?P<words>[ \t,].*+)$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its own header field, and its sender."""
    return "x-zohomail" in notice.header and "mailer-daemon@" in notice.sender.lower()


def read(notice: Notice) -> Reading:
    """Each line that begins with an address."""
    return listing(notice.text, _ENTRY)
