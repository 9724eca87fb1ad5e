"""OCN (NTT Communications): the notification of its Postfix, forwarded to the sender as text."""

from __future__ import annotations

import re

from mdnwatch.mail import mime
from mdnwatch.mail.bounce_text import Reading
from mdnwatch.mail.dsn import read_recipients
from mdnwatch.mail.fields import MAX_REPORT_PART, read_blocks
from mdnwatch.mail.head import RETURNED_TYPES, read_returned
from mdnwatch.mail.notice import Notice
from mdnwatch.mail.recognise import find_report

FORMAT = "ocn"

_FORWARDED = re.compile(rb"^-{20,60}\n(?=From MAILER-DAEMON )", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By the sentence between its two languages, and the mbox line of what it forwards."""
    return "the following sentences are japanese" in notice.top and _FORWARDED.search(notice.part) is not None


def read(notice: Notice) -> Reading:
    """The recipients of the forwarded notification, and what that one returns."""
    forwarded = _FORWARDED.search(notice.part)
    message = mime.read(notice.part[forwarded.end() :] if forwarded else b"")
    found = find_report(message)
    if found is None or found.part is None:
        return Reading(())
    returned = next((part for part in found.container.parts if part.media_type in RETURNED_TYPES), None)
    blocks = read_blocks(found.part.content(MAX_REPORT_PART))
    return Reading(read_recipients(blocks, []), read_returned(returned) if returned else None)
