"""How much of a received message is needed, judged by its header, and by what is there of its body."""

from __future__ import annotations

import re

from mdnwatch.mail import mime
from mdnwatch.mail.recognise import wants_body
from mdnwatch.mail.reply import answers, is_automatic_reply
from mdnwatch.model.received import Wanted

# RFC 6522 §1: a report may have been wrapped on its way, by a signer or a gateway, below any header.
_REPORT_PART = re.compile(
    rb"^content-type:[ \t]*(?:\r?\n[ \t]+)?message/"
    rb"(?:global-)?(?:disposition-notification|delivery-status|feedback-report)\b",
    re.MULTILINE | re.IGNORECASE,
)


def wanted(header: bytes, body: bytes = b"") -> Wanted:
    """All of what may be a report or an automatic reply; of a person's answer its header; of other mail nothing.

    `body` is as much of it as is there already. The text of an absence notice may name the day on which somebody
    returns.
    """
    if wants_body(header) or _REPORT_PART.search(body):
        return Wanted.WHOLE
    message = mime.read(header)
    if not answers(message.header):
        return Wanted.NOTHING
    return Wanted.WHOLE if is_automatic_reply(message) else Wanted.HEADER
