"""What `mdnwatch explain FILE` reads of a mail before it asks what is known of it; without any database."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mdnwatch.explain import piece_facts, time_text
from mdnwatch.mail import mime
from mdnwatch.mail.bounce_gate import may_be_bounce
from mdnwatch.mail.head import read_head
from mdnwatch.mail.mime import Message
from mdnwatch.mail.reader import read_message
from mdnwatch.mail.recognise import is_as2
from mdnwatch.mail.reply import read_reply
from mdnwatch.model.address import without_sub_address
from mdnwatch.model.evidence import extract
from mdnwatch.model.own_mail import is_about_own
from mdnwatch.model.report import Malformed, Reply, Report, report_id
from mdnwatch.model.stored import StoredReport, report_content, stored
from mdnwatch.model.text import clean

# A person reads so many recipients of one report.
MAX_PIECES = 100


@dataclass(frozen=True, slots=True)
class ReadMail:
    """A mail as read: the facts about it, and what is to be asked of the database."""

    facts: dict[str, Any]
    question: dict[str, Any]


def read(data: bytes, own: Collection[str], now: datetime) -> ReadMail:
    """Read a mail. `own` are the addresses of all accounts, as `without_sub_address` writes them; never raises."""
    message = mime.read(data)
    head = read_head(message.header)
    report = read_message(message) or read_reply(message)
    facts: dict[str, Any] = {
        "kind": "ordinary",
        "format": None,
        "media_type": clean(message.root.media_type),
        "from": head.from_address,
        "dated": time_text(head.date),
        "malformed": None,
        "pieces": [],
        "keys": [],
        "defects": [],
        "report_id": None,
        "why_not": list(_why_not(message, report, own)),
    }
    question: dict[str, Any] = {"message_id": head.message_id}
    if report is not None:
        facts["report_id"] = question["id"] = report_id(report.head, report.report_part)
        facts["defects"] = list(report.defects)
    if isinstance(report, Malformed):
        facts |= {"kind": "malformed", "malformed": report.reason}
    elif report is not None:
        _add_report(facts, question, report, data, now)
    return ReadMail(facts, {"command": "explain", "report": question})


def _add_report(facts: dict[str, Any], question: dict[str, Any], report: Report, data: bytes, now: datetime) -> None:
    kept = stored(report, facts["report_id"], "", now, announce=False)
    pieces = extract(report, kept.id, now)[:MAX_PIECES]
    facts |= {
        "kind": _kind(kept, report),
        "format": kept.format,
        "pieces": [piece_facts(piece) for piece in pieces],
        "keys": [{"rung": key.rung.value, "key": clean(key.key)} for key in kept.keys],
    }
    if is_about_own(kept.keys, data):
        facts["why_not"].append("own-notice")
    if not facts["why_not"]:
        question |= {
            "kind": kept.kind,
            "content": report_content(kept),
        }


def _kind(kept: StoredReport, report: Report) -> str:
    return "auto-reply" if isinstance(report, Reply) and report.by_machine else kept.kind


def _why_not(message: Message, report: Report | Malformed | None, own: Collection[str]) -> Iterator[str]:
    """The codes of why a mail is no report that counts; none where it is one."""
    if is_as2(message.header):
        yield "as2"
    elif report is None:
        yield "declares"
        yield "no-report-part"
        yield "no-form" if may_be_bounce(message.header) else "no-mail-system"
        yield "answers-nothing"
    elif isinstance(report, Reply):
        sender = report.head.from_address
        if sender is None:
            yield "no-sender"
        elif without_sub_address(sender) in own:
            yield "written-by-us"
        elif report.via_list and not any(without_sub_address(one) in own for one in report.head.to_addresses):
            yield "via-list"
