"""Bounces that follow no standard, as delivery status notifications: recognised formats, then the general reader."""

from __future__ import annotations

from mdnwatch.mail.bounce_formats import formats
from mdnwatch.mail.bounce_gate import may_be_bounce
from mdnwatch.mail.bounce_text import Reading, blocks
from mdnwatch.mail.fields_in_text import read_fields
from mdnwatch.mail.general_bounce import read_general
from mdnwatch.mail.mime import Message
from mdnwatch.mail.notice import Notice, read_notice
from mdnwatch.model.report import HEURISTIC, Dsn

# The formats of which no file tells: fields of RFC 3464 in a text, and what only its words give away.
FIELDS_IN_TEXT = "rfc3464-in-text"
GENERAL = "general"


def read_bounce(message: Message, *, declared: bool = False) -> Dsn | None:
    """The bounce that a message is; None where it is none. `declared`: it calls itself a delivery report."""
    if not declared and not may_be_bounce(message.header):
        return None
    defects = message.defects
    notice = read_notice(message)
    for known in formats():
        if known.claims(notice):
            reading = known.read(notice)
            if reading.recipients:
                return _dsn(notice, known.FORMAT, reading, defects)
    fields = read_fields(notice)
    if fields:
        return _dsn(notice, FIELDS_IN_TEXT, Reading(fields), defects)
    found = read_general(notice, declared=declared)
    if not found:
        return None
    return _dsn(notice, GENERAL, Reading(blocks(found, notice.text)), [*defects, HEURISTIC])


def _dsn(notice: Notice, name: str, reading: Reading, defects: list[str]) -> Dsn:
    return Dsn(
        head=notice.head,
        format=name,
        report_part=notice.part,
        returned=reading.returned or notice.returned,
        inline_message_ids=notice.message_ids,
        recipients=reading.recipients,
        defects=tuple(dict.fromkeys(defects)),
    )
