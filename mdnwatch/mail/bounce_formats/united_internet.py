"""1&1, GMX, Web.de and mail.com (United Internet's Nemesis): like Exim, but with the words below each address."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "united-internet"

_ENTRY = re.compile(rf"^(?:\"|[ ]{{2}}<)?(?P<address>{ADDRESS})(?:\":|:|>)(?P<words>)$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By the sentence, which it breaks at another place than Exim does."""
    return "could not be delivered to one or more of\nits recipients." in notice.top


def read(notice: Notice) -> Reading:
    """The addresses in quotes, in brackets or bare, each with the lines below."""
    return listing(notice.text, _ENTRY)
