"""Verizon's gateways to mobile phones (vtext.com, vzwpix.com)."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, Said, blocks
from mdnwatch.mail.notice import Notice

FORMAT = "verizon"

_RCPT = re.compile(rf"^[ \t]{{0,8}}(?:RCPT TO|To): (?P<address>{ADDRESS})[ \t]*$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its domains."""
    sender = notice.sender.lower()
    return "vtext.com" in sender or "vzwpix.com" in sender


def read(notice: Notice) -> Reading:
    """The address of the envelope, or of the quoted header."""
    return Reading(blocks((Said(match["address"], notice.text) for match in _RCPT.finditer(notice.whole)), notice.text))
