"""Novell GroupWise's Internet Agent."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "groupwise"

_ENTRY = re.compile(rf"^[ \t]{{1,8}}(?P<address>{ADDRESS})(?P<words>[ \t]*+(?:\(.*+)?)$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its sentence."""
    return "the message that you sent was undeliverable to the following:" in notice.top


def read(notice: Notice) -> Reading:
    """The indented addresses, each with its reason in parentheses."""
    return listing(notice.text, _ENTRY)
