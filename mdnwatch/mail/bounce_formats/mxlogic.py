"""MX Logic (McAfee SaaS Email Protection)."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "mxlogic"

_ENTRY = re.compile(rf"^ {{2}}<(?P<address>{ADDRESS})>:(?P<words>.*+)$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its own header field."""
    return "x-mxl-notehash" in notice.header


def read(notice: Notice) -> Reading:
    """The indented addresses in brackets, each with its reply."""
    return listing(notice.text, _ENTRY)
