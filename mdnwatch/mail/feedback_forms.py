"""Complaints in forms of their own: Outlook.com's (JMRP) and Amazon SES's, which SNS brings as a text of JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mdnwatch.mail.dates import parse_date
from mdnwatch.mail.head import read_head, read_returned
from mdnwatch.mail.message_ids import message_id
from mdnwatch.mail.mime import Message, Part
from mdnwatch.model.address import split
from mdnwatch.model.report import FeedbackReport, Head

# A complaint of SES names recipients and a few fields of the message.
MAX_JSON = 256 * 1024  # bytes

# The program's reports come from staff@ one of these.
_OUTLOOK = frozenset({"hotmail.com", "outlook.com", "live.com", "msn.com"})
_OUTLOOK_SUBJECT = "complaint about message from"
# Outlook.com puts it above all other fields of the message.
_RECIPIENT = re.compile(rb"\n*+X-HmXmrOriginalRecipient:[ \t]*+<?([^\s<>@]{1,64}@[^\s<>@]{1,255})", re.IGNORECASE)
_SNS = re.compile(r"no-reply@sns\.(?:[a-z0-9-]+\.)*amazonaws\.com(?:\.cn)?", re.IGNORECASE)
# Long lines of JSON are cut on their way by old mail servers, as `...!`, a line end and a blank.
_CUT_LINE = re.compile(r"!\n |\n")


def read_feedback_form(message: Message) -> FeedbackReport | None:
    """The complaint that a message is, in a form of its own; None where it is none."""
    sender = message.header.get("from") or ""
    if "staff@" in sender:
        return _outlook(message)
    return _ses(message) if "no-reply@sns." in sender else None


def _outlook(message: Message) -> FeedbackReport | None:
    """Junk Mail Reporting Program: the message complained about, whose header names the recipient (jmrp-complaint)."""
    head = read_head(message.header)
    local, domain = split(head.from_address or "")
    returned = next((part for part in message.root.parts if part.media_type == "message/rfc822"), None)
    if local.lower() != "staff" or domain.lower() not in _OUTLOOK or returned is None:
        return None
    if not head.subject.strip().lower().startswith(_OUTLOOK_SUBJECT):
        return None
    original = returned.data[returned.body : returned.end]
    recipient = _RECIPIENT.match(original)
    return FeedbackReport(
        head=head,
        format="jmrp",
        report_part=b"",
        returned=read_returned(returned),
        defects=tuple(message.defects),
        feedback_type="abuse",
        original_rcpt_to=(recipient[1].decode("utf-8", "replace"),) if recipient else (),
    )


def _ses(message: Message) -> FeedbackReport | None:
    head = read_head(message.header)
    if not _SNS.fullmatch(head.from_address or ""):
        return None
    notice = _notification(message.root)
    if notice is None:
        return None
    complaint, mail = _object(notice.get("complaint")), _object(notice.get("mail"))
    return _of_ses(head, complaint, mail, message)


def _of_ses(head: Head, complaint: Mapping[str, Any], mail: Mapping[str, Any], message: Message) -> FeedbackReport:
    kind, agent, sender = (
        value if isinstance(value, str) else None
        for value in (complaint.get("complaintFeedbackType"), complaint.get("userAgent"), mail.get("source"))
    )
    return FeedbackReport(
        head=head,
        format="amazon-ses",
        report_part=message.root.content(MAX_JSON),
        defects=tuple(message.defects),
        # SES: the type is left out where the provider gave none; that it is a complaint is said by the notification.
        feedback_type=(kind or "abuse").lower(),
        user_agent=agent,
        original_mail_from=sender,
        original_rcpt_to=tuple(dict.fromkeys(_complained(complaint))),
        original_message_id=_original_message_id(mail),
        arrival_date=parse_date(_header(mail, "date") or ""),
    )


def _notification(part: Part) -> Mapping[str, Any] | None:
    """The notification of a complaint; after it SNS tells how to unsubscribe."""
    text = part.content(MAX_JSON).decode("utf-8", "replace").replace("\r\n", "\n").lstrip()
    if not text.startswith("{"):
        return None
    try:
        found, _ = json.JSONDecoder(strict=False).raw_decode(_CUT_LINE.sub("", text))
    except (ValueError, RecursionError):
        return None
    notice = _object(found)
    return notice if notice.get("notificationType", notice.get("eventType")) == "Complaint" else None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _complained(complaint: Mapping[str, Any]) -> Iterator[str]:
    listed = complaint.get("complainedRecipients")
    for one in listed if isinstance(listed, list) else ():
        address = _object(one).get("emailAddress")
        if isinstance(address, str) and "@" in address:
            yield address


def _header(mail: Mapping[str, Any], name: str) -> str | None:
    listed = mail.get("headers")
    for one in listed if isinstance(listed, list) else ():
        field = _object(one)
        if str(field.get("name")).lower() == name and isinstance(field.get("value"), str):
            return str(field["value"])
    return None


def _original_message_id(mail: Mapping[str, Any]) -> str | None:
    """The original's own id: SES's `messageId` is none, it is a part of the one that SES makes."""
    common = _object(mail.get("commonHeaders")).get("messageId")
    return message_id(_header(mail, "message-id") or (common if isinstance(common, str) else None))
