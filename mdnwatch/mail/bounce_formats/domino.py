"""Lotus Domino."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "domino"

_ENTRY = re.compile(rf"^[ \t]{{1,8}}(?P<address>{ADDRESS})(?P<words>)[ \t]*$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By the frame of its sentence."""
    return notice.top.lstrip().startswith("your message\n") and "\nwas not delivered to:" in notice.top


def read(notice: Notice) -> Reading:
    """The addresses between "was not delivered to:" and "because:", and the reason below."""
    _, _, below = notice.text.partition("was not delivered to:")
    return listing(below, _ENTRY)
