"""KDDI's mobile and home mail (ezweb.ne.jp, au, dion.ne.jp)."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "kddi"

_ENTRY = re.compile(
    rf"^(?:[ \t]{{0,8}}Recipient: |[ \t]{{0,8}}Could not be delivered to: )?<(?P<address>{ADDRESS})>(?P<words>)[ \t]*$",
    re.MULTILINE,
)
_REJECTED = re.compile(r"each of the following recipients was rejected by a remote\s+mail server")


def claims(notice: Notice) -> bool:
    """By one of its two sentences."""
    if "your mail sent on: " in notice.top and "could not be delivered to: <" in notice.top:
        return True
    return "each of the following recipients" in notice.top and _REJECTED.search(notice.top) is not None


def read(notice: Notice) -> Reading:
    """The labelled addresses, or the one in the first line, with what stands below."""
    return listing(notice.text, _ENTRY)
