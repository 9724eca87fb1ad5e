"""Google Groups: a message that a group did not take, in dozens of languages."""

from __future__ import annotations

from mdnwatch.mail.bounce_text import Reading, Said, block
from mdnwatch.mail.notice import Notice

FORMAT = "google-groups"

# It stands below the words in all languages: put before them, it says whose they are where they are cut.
_SIGNATURE = "Google Groups"


def claims(notice: Notice) -> bool:
    """By the header field for the address and the link, which are the same in all languages."""
    return (
        "x-failed-recipients" in notice.header
        and "google" in notice.sender.lower()
        and "https://groups.google.com/" in notice.text
    )


def read(notice: Notice) -> Reading:
    """The address of the header: the text names the group only."""
    words = f"{_SIGNATURE}: {notice.text}"
    return Reading(tuple(block(Said(address, words)) for address in notice.failed_recipients()))
