"""Postfix before it wrote standard notifications, or with their parts lost; also under other names (Keftamail)."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "postfix"

_ENTRY = re.compile(
    rf"^<(?P<address>{ADDRESS})>(?: \(expanded\s+from\s+<(?P<original>{ADDRESS})>\))?:(?P<words>.*+)$", re.MULTILINE
)


def claims(notice: Notice) -> bool:
    """By its apology, or its warning, and an address below it."""
    if "i'm sorry to have to inform you that" not in notice.top and "this is a warning only" not in notice.top:
        return False
    return _ENTRY.search(notice.text) is not None


def read(notice: Notice) -> Reading:
    """The addresses in brackets, each with its indented reason."""
    return listing(notice.text, _ENTRY)
