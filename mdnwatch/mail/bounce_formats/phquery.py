"""phquery, the mail front of the CSO name server."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, Said, blocks, said_after
from mdnwatch.mail.notice import Notice

FORMAT = "phquery"

_ENTRY = re.compile(rf"^---- (?P<address>{ADDRESS})(?P<words>)[ \t]*$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By the heading that bears its name."""
    return "--------error detail (phquery" in notice.top


def read(notice: Notice) -> Reading:
    """The addresses of the details; where they are mere names, a recipient without address."""
    found = list(said_after(notice.text, _ENTRY))
    return Reading(blocks(found or [Said("", notice.text)], notice.text))
