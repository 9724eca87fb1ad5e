"""Smail 3."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "smail"

_ENTRY = re.compile(rf"^ <?(?P<address>{ADDRESS})>? \.\.\.(?P<words>.*+)$", re.MULTILINE)
_FAILED = "Failed addresses follow:"


def claims(notice: Notice) -> bool:
    """By its rules with headings."""
    return "message log follows: ---" in notice.top and _FAILED.lower() in notice.top


def read(notice: Notice) -> Reading:
    """The addresses below the second heading, each with its reason behind three dots."""
    _, _, below = notice.text.partition(_FAILED)
    return listing(below, _ENTRY)
