"""m-FILTER (Digital Arts)."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, Said, blocks
from mdnwatch.mail.notice import Notice

FORMAT = "mfilter"

_ADDRESS = re.compile(rf"^(?P<address>{ADDRESS})[ \t]*$", re.MULTILINE)
_SERVER = re.compile(r"^-{7}server message\n(?P<words>(?:(?!-{7}).*\n?){0,30})", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its X-Mailer."""
    return (notice.header.get("x-mailer") or "").startswith("m-FILTER")


def read(notice: Notice) -> Reading:
    """The addresses above the server's message, which is about all of them."""
    server = _SERVER.search(notice.text)
    above = notice.text[: server.start()] if server else notice.text
    words = server["words"] if server else ""
    return Reading(blocks((Said(match["address"], words) for match in _ADDRESS.finditer(above)), notice.text))
