"""LSMTP (L-Soft): a list for LISTSERV."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "lsmtp"

_ENTRY = re.compile(rf"^Error-for:[ \t]{{0,8}}(?P<address>{ADDRESS})(?P<words>)[ \t]*$", re.MULTILINE)
_END = re.compile(r"^Error-End:", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By the first label of its list."""
    return "\nerror-for:" in notice.top and "listserv" in notice.top


def read(notice: Notice) -> Reading:
    """The labelled addresses, each with the labelled text below."""
    return listing(notice.text, _ENTRY, _END)
