"""SpamLion, a gateway."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "spamlion"

_ENTRY = re.compile(rf"^Did not reach the following recipient: (?P<address>{ADDRESS})(?P<words>.*+)$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its X-Mailer."""
    return (notice.header.get("x-mailer") or "").startswith("SpamLion")


def read(notice: Notice) -> Reading:
    """The address of its sentence."""
    return listing(notice.text, _ENTRY)
