"""SmarterMail."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "smartermail"

_ENTRY = re.compile(rf"^Failed Recipient: (?P<address>{ADDRESS})(?P<words>.*+)$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By sentence and label."""
    return (
        "could not deliver message to the following recipient(s):" in notice.top
        and "\nfailed recipient: " in notice.top
    )


def read(notice: Notice) -> Reading:
    """The labelled addresses, each with its labelled reason."""
    return listing(notice.text, _ENTRY)
