"""The SMTP MTA of Lotus Notes 4."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, Said, blocks
from mdnwatch.mail.notice import Notice

FORMAT = "lotus-smtp-mta"

_HEADING = re.compile(r"^-{7} Failure Reasons {1,2}-{8}[ \t]*$", re.MULTILINE)
_PAIR = re.compile(rf"^(?P<words>\S[^\n]*+)\n(?P<address>{ADDRESS})[ \t]*$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its heading."""
    return "------- failure reasons " in notice.top


def read(notice: Notice) -> Reading:
    """Pairs of a reason and the address below it."""
    heading = _HEADING.search(notice.text)
    below = notice.text[heading.end() :] if heading else ""
    return Reading(blocks((Said(pair["address"], pair["words"]) for pair in _PAIR.finditer(below)), notice.text))
