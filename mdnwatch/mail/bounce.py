"""Bounces that follow no standard, as delivery status notifications: recognised formats, then the general reader."""

from __future__ import annotations

from mdnwatch.mail.bounce_text import blocks
from mdnwatch.mail.bounce_words import is_failure
from mdnwatch.mail.general_bounce import read_general
from mdnwatch.mail.mime import Message
from mdnwatch.mail.notice import Notice, read_notice
from mdnwatch.mail.recognise import is_automatic
from mdnwatch.model.report import Dsn, RecipientBlock

GENERAL = "general"


def read_bounce(message: Message, defects: list[str]) -> Dsn | None:
    if not is_automatic(message.header) and "deliver" not in (message.header.get("subject") or "").lower():
        return None
    notice = read_notice(message)
    if not (is_failure(notice.text) or is_failure(notice.subject)):
        return None
    found = read_general(notice)
    if not found:
        return None
    return _dsn(notice, GENERAL, blocks(found, notice.text), defects)


def _dsn(notice: Notice, name: str, recipients: tuple[RecipientBlock, ...], defects: list[str]) -> Dsn:
    return Dsn(
        head=notice.head,
        format=name,
        report_part=notice.part,
        returned=notice.returned,
        inline_message_ids=notice.message_ids,
        recipients=recipients,
        defects=tuple(dict.fromkeys(defects)),
    )
