"""OpenSMTPD before it wrote standard notifications."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "opensmtpd"

_ENTRY = re.compile(rf"^(?P<address>{ADDRESS}):(?P<words>.*+)$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its greeting."""
    return "this is the mailer-daemon, please do not reply to this e" in notice.top


def read(notice: Notice) -> Reading:
    """Each line that begins with an address and a colon."""
    return listing(notice.text, _ENTRY)
