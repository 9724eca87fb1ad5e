"""Gmail until 2016, and Google Apps: no parts, an indented address, technical details."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "gmail"

_ENTRY = re.compile(rf"^ {{5}}(?P<address>{ADDRESS})(?P<words>)[ \t]*$", re.MULTILINE)
# What Google says of every refusal, before it quotes the other server.
_BOILERPLATE = "Google tried to deliver your message"
_DETAILS = "The error that the other server returned was:"
_SENTENCE = re.compile(r"delivery to the following recipients? (?:failed permanently|has been delayed)")


def claims(notice: Notice) -> bool:
    """By sender and sentence."""
    return "@googlemail.com" in notice.sender.lower() and _SENTENCE.search(notice.top) is not None


def read(notice: Notice) -> Reading:
    """The indented addresses; the details below are about all of them."""
    above, _, details = notice.text.partition(_DETAILS)
    return listing(above.partition(_BOILERPLATE)[0] + details if details else notice.text, _ENTRY)
