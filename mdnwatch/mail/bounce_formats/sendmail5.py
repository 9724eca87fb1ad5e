"""Sendmail 5 and what was made of it (IDA, ULTRIX): nothing but a transcript of the session."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, Said, block
from mdnwatch.mail.notice import Notice
from mdnwatch.model.report import Action

FORMAT = "sendmail5"

# `550 <user@example.org>... User unknown` closes what was said about that address.
_VERDICT = re.compile(
    rf"^[ \t]{{0,8}}(?P<code>[45])\d\d <?(?P<address>{ADDRESS})>?\.\.\. (?P<words>.*+)$", re.MULTILINE
)


def claims(notice: Notice) -> bool:
    """By the transcript with which it begins."""
    return notice.top.lstrip().startswith("----- transcript of session follows -----")


def read(notice: Notice) -> Reading:
    """Each verdict on an address, with the lines of the session that led to it."""
    recipients = []
    begin = 0
    for match in _VERDICT.finditer(notice.text):
        lines = (line.strip() for line in notice.text[begin : match.start()].split("\n"))
        session = [line[4:] for line in lines if line.startswith("<<< ")]
        # What the other server answered last says more than Sendmail's own words after it.
        words = "\n".join((*session[-1:], match[0].strip()))
        action = Action.FAILED if match["code"] == "5" else Action.DELAYED
        recipients.append(block(Said(match["address"], words), action))
        begin = match.end()
    return Reading(tuple(recipients))
