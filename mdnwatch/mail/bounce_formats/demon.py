"""Demon Internet's mail store: a message that nobody collected."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "demon"

_ENTRY = re.compile(rf"^The following message, addressed to '(?P<address>{ADDRESS})',(?P<words>.*+)$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its sentence."""
    return "the following message, addressed to '" in notice.top and "has not been collected" in notice.top


def read(notice: Notice) -> Reading:
    """The address in quotes."""
    return listing(notice.text, _ENTRY)
