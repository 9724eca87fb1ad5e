"""McAfee WebShield (e500 appliances)."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "webshield"

_ENTRY = re.compile(rf"^<(?P<address>{ADDRESS})>:(?P<words>.*+)$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its heading."""
    return "------ failed recipients ------" in notice.top


def read(notice: Notice) -> Reading:
    """The addresses in brackets, each with its reason."""
    return listing(notice.text, _ENTRY)
