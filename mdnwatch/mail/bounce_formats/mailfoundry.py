"""MailFoundry, an appliance."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "mailfoundry"

_ENTRY = re.compile(rf"^Unable to deliver message to: <(?P<address>{ADDRESS})>(?P<words>.*+)$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its two sentences."""
    return (
        notice.top.startswith("unable to deliver message to: <")
        and "delivery failed for the following reason:" in notice.top
    )


def read(notice: Notice) -> Reading:
    """The address and the reason below it."""
    return listing(notice.text, _ENTRY)
