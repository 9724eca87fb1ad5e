"""fml, a mailing list manager: a message of somebody who is no member was not posted."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, Said, blocks
from mdnwatch.mail.notice import Notice

FORMAT = "fml"

_ENTRY = re.compile(
    rf"^You are not a member of this mailing list <(?P<address>{ADDRESS})>(?P<words>.*+)$", re.MULTILINE
)


def claims(notice: Notice) -> bool:
    """By its header field and first sentence."""
    return "x-mlserver" in notice.header and notice.top.lstrip().startswith(
        "you are not a member of this mailing list <"
    )


def read(notice: Notice) -> Reading:
    """The address of the list."""
    found = (Said(match["address"], notice.text) for match in _ENTRY.finditer(notice.text))
    return Reading(blocks(found, notice.text))
