"""Symantec AntiVirus for SMTP Gateways."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "symantec-gateway"

_ENTRY = re.compile(rf"^(?P<address>{ADDRESS})(?P<words>)[ \t]*$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By sentence and sender, who bears the name of the product."""
    return "symantec" in notice.sender.lower() and "could not be delivered to the following recipients:" in notice.top


def read(notice: Notice) -> Reading:
    """The addresses, one a line."""
    return listing(notice.text, _ENTRY)
