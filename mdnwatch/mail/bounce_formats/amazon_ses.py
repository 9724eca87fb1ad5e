"""Amazon SES through SNS: a notification in JSON."""

from __future__ import annotations

import json
from typing import Any

from mdnwatch.mail.bounce_text import MAX_RECIPIENTS, Reading, Said, block
from mdnwatch.mail.message_ids import message_id
from mdnwatch.mail.notice import Notice
from mdnwatch.model.report import Action, RecipientBlock, Returned

FORMAT = "amazon-ses"


def claims(notice: Notice) -> bool:
    """By the header field of SNS and the type of the notification."""
    return "x-amz-sns-message-id" in notice.header and '"notificationtype":' in notice.top


def read(notice: Notice) -> Reading:
    """What a Bounce or a Delivery says; none of a Complaint, which is no bounce."""
    try:
        data, _ = json.JSONDecoder().raw_decode(notice.text.lstrip())
    except (ValueError, RecursionError):
        return Reading(())
    kind = _text(data, "notificationType")
    if kind == "Bounce":
        found = [_bounced(one) for one in _list(_dict(data, "bounce"), "bouncedRecipients")]
    elif kind == "Delivery":
        reply = _text(_dict(data, "delivery"), "smtpResponse")
        delivered = _list(_dict(data, "delivery"), "recipients")
        found = [block(Said(one, reply), Action.DELIVERED) for one in delivered if isinstance(one, str)]
    else:
        found = []
    return Reading(tuple(found), _returned(_dict(_dict(data, "mail"), "commonHeaders")))


def _bounced(one: object) -> RecipientBlock:
    words = _text(one, "diagnosticCode").removeprefix("smtp; ")
    action = Action.DELAYED if _text(one, "action") == "delayed" else Action.FAILED
    return block(Said(_text(one, "emailAddress"), f"{words}\nstatus: {_text(one, 'status')}".strip()), action)


def _returned(headers: dict[str, Any]) -> Returned:
    return Returned(
        media_type="application/json",
        message_id=message_id(_text(headers, "messageId")),
        subject=_text(headers, "subject") or None,
    )


def _dict(data: object, key: str) -> dict[str, Any]:
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


def _list(data: object, key: str) -> list[Any]:
    value = data.get(key) if isinstance(data, dict) else None
    return value[:MAX_RECIPIENTS] if isinstance(value, list) else []


def _text(data: object, key: str) -> str:
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""
