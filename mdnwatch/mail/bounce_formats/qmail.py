"""qmail and its kin (notqmail, indimail, MessageLabs, GoDaddy): QSBMF, the qmail-send bounce message format."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "qmail"

# A recipient paragraph begins with the address in angle brackets and a colon; the returned message is behind a
# paragraph that begins with "---". Some add blanks after the colon.
_RECIPIENT = re.compile(rf"^<(?P<address>{ADDRESS})>:(?P<words>.*+)", re.MULTILINE)
_SENTENCES = ("this is the qmail-send program", "this is the mail delivery agent at", "this is the notqmail")


def claims(notice: Notice) -> bool:
    """By qmail-send's first sentence, or by the subject and the paragraphs where a provider wrote another one."""
    if any(sentence in notice.top for sentence in _SENTENCES):
        return True
    return notice.subject == "failure notice" and "\n<" in notice.text and _RECIPIENT.search(notice.text) is not None


def read(notice: Notice) -> Reading:
    """One recipient for each paragraph."""
    return listing(notice.text, _RECIPIENT)
