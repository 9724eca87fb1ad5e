"""Yahoo and its hosting customers: qmail's paragraphs under sentences of its own."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "yahoo"

_RECIPIENT = re.compile(rf"^(?:<(?P<address>{ADDRESS})>:)(?P<words>.*+)", re.MULTILINE)
# The HTML notice of 2020 names the recipient only so.
_TO = re.compile(rf"^To:[ \t]{{0,4}}<?(?P<address>{ADDRESS})>?(?P<words>)", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By one of the three sentences seen."""
    top = notice.top
    return (
        "sorry, we were unable to deliver your message to the following address." in top
        or (
            top.lstrip().startswith("message from ")
            and "unable to deliver message to the following address(es)." in top
        )
        or "i'm afraid i wasn't able to deliver the following message." in top
    )


def read(notice: Notice) -> Reading:
    """One recipient for each paragraph."""
    reading = listing(notice.text, _RECIPIENT)
    return reading if reading.recipients else listing(notice.text, _TO)
