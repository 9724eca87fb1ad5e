"""The DragonFly Mail Agent."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "dma"

_ENTRY = re.compile(
    rf"^There was an error delivering your mail to <?(?P<address>{ADDRESS})>?\.(?P<words>)$", re.MULTILINE
)


def claims(notice: Notice) -> bool:
    """By its first words."""
    return notice.top.startswith("this is the dragonfly mail agent")


def read(notice: Notice) -> Reading:
    """The one address, and what its host said."""
    return listing(notice.text, _ENTRY)
