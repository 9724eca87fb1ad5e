"""AMEN (a French host): a notice between rules of equals signs, called multipart/report without being one."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "amen"

# It misspells its first word, in most versions.
_SENTENCE = re.compile(r"del[ei]very to the following recipients (?:failed permanently|was aborted)")
_ENTRY = re.compile(rf"^[ ]{{1,8}}\* (?P<address>{ADDRESS})(?P<words>)[ \t]*$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By rule and sentence."""
    return notice.top.startswith("=" * 20) and _SENTENCE.search(notice.top) is not None


def read(notice: Notice) -> Reading:
    """The addresses with an asterisk; the technical details are about all of them."""
    return listing(notice.text, _ENTRY)
