"""MDaemon (Alt-N)."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "mdaemon"

_ENTRY = re.compile(rf"^(?P<address>{ADDRESS}) - (?P<words>.*+)$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its sender, and an address with a dash behind it."""
    return "mdaemon@" in notice.sender.lower() and _ENTRY.search(notice.text) is not None


def read(notice: Notice) -> Reading:
    """The addresses with a dash behind them."""
    return listing(notice.text, _ENTRY)
