"""Trend Micro's InterScan (VirusWall, Messaging Security Suite)."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "interscan"

_ENTRY = re.compile(
    rf"(?:^Sent <<< RCPT TO:|^Unable to deliver message to )<(?P<address>{ADDRESS})>(?P<words>.*+)", re.MULTILINE
)


def claims(notice: Notice) -> bool:
    """By its name, or by the boundary that it writes."""
    return "message from interscan" in notice.top or "InterScan_NT_MIME" in (notice.header.get("content-type") or "")


def read(notice: Notice) -> Reading:
    """The address of the sentence or of the session, and the answer."""
    return listing(notice.text, _ENTRY)
