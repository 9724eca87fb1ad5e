"""How much of a received message is needed, judged by its header alone."""

from __future__ import annotations

from mdnwatch.mail import mime
from mdnwatch.mail.head import read_head
from mdnwatch.mail.recognise import wants_body
from mdnwatch.mail.reply import answers, is_automatic_reply
from mdnwatch.model.received import Wanted


def wanted(header: bytes) -> Wanted:
    """All of what may be a report or an automatic reply; of a person's answer its header; of other mail nothing.

    The text of an absence notice may name the day on which somebody returns.
    """
    if wants_body(header):
        return Wanted.WHOLE
    message = mime.read(header)
    head = read_head(message.header)
    if not answers(head):
        return Wanted.NOTHING
    return Wanted.WHOLE if is_automatic_reply(message, head) else Wanted.HEADER
