"""Reports and sent messages as values, for tests that start behind the reader."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from mdnwatch.model.report import (
    Action,
    Disposition,
    DispositionType,
    Dsn,
    Head,
    Mdn,
    RecipientBlock,
    Reply,
    Returned,
    Typed,
)
from mdnwatch.model.sent import Requested, SentMessage

SENT_AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OURS = "alice@mail.example"


def rfc822(address: str) -> Typed:
    return Typed("rfc822", address)


def sent_message(
    message_id: str = "<offer@mail.example>",
    recipients: Sequence[str] = ("bob@there.example",),
    *,
    account: str = "sales",
    date: datetime | None = SENT_AT,
    mdn: bool = False,
    envelope_id: str | None = None,
) -> SentMessage:
    return SentMessage(
        message_id=message_id,
        from_address=OURS,
        account=account,
        recipients=tuple(recipients),
        subject="Offer",
        date=date,
        requested=Requested(mdn=mdn),
        envelope_id=envelope_id,
    )


def head(
    message_id: str = "<report@there.example>",
    *,
    from_address: str | None = "bob@there.example",
    date: datetime | None = SENT_AT + timedelta(hours=1),
    in_reply_to: Sequence[str] = (),
    references: Sequence[str] = (),
    to_addresses: Sequence[str] = (),
    auto_submitted_comment: str | None = None,
) -> Head:
    return Head(
        message_id=message_id,
        date=date,
        date_as_sent=str(date),
        from_address=from_address,
        from_as_sent=from_address or "",
        to_addresses=tuple(to_addresses),
        in_reply_to=tuple(in_reply_to),
        references=tuple(references),
        auto_submitted_comment=auto_submitted_comment,
    )


def mdn(
    of: Head,
    *,
    original_message_id: str | None = "<offer@mail.example>",
    disposition_type: DispositionType = DispositionType.DISPLAYED,
    action_mode: str = "manual-action",
    modifiers: Sequence[str] = (),
    final: str | None = "bob@there.example",
    original: str | None = None,
    reporting_ua: str | None = None,
    returned: str | None = None,
    envelope_id: str | None = None,
) -> Mdn:
    return Mdn(
        head=of,
        format="rfc8098",
        report_part=f"{original_message_id} {final} {disposition_type}".encode(),
        returned=Returned("text/rfc822-headers", returned) if returned else None,
        original_envelope_id=envelope_id,
        disposition=Disposition(
            action_mode, "mdn-sent-manually", disposition_type, disposition_type.value, tuple(modifiers)
        ),
        final_recipient=rfc822(final) if final else None,
        original_recipient=rfc822(original) if original else None,
        original_message_id=original_message_id,
        reporting_ua=reporting_ua,
    )


def block(
    final: str | None,
    action: Action = Action.FAILED,
    *,
    original: str | None = None,
    status: str | None = None,
    remote_mta: str | None = None,
    retry_until: datetime | None = None,
) -> RecipientBlock:
    return RecipientBlock(
        final_recipient=rfc822(final) if final else None,
        original_recipient=rfc822(original) if original else None,
        action=action,
        action_as_sent=action.value,
        status=status,
        remote_mta=Typed("dns", remote_mta) if remote_mta else None,
        will_retry_until=retry_until,
    )


def dsn(
    of: Head,
    blocks: Sequence[RecipientBlock],
    *,
    returned: str | None = "<offer@mail.example>",
    envelope_id: str | None = None,
    reporting_mta: str | None = "mx.there.example",
    inline: Sequence[str] = (),
) -> Dsn:
    return Dsn(
        head=of,
        format="rfc3464",
        report_part=repr(blocks).encode(),
        returned=Returned("message/rfc822", returned) if returned else None,
        original_envelope_id=envelope_id,
        inline_message_ids=tuple(inline),
        recipients=tuple(blocks),
        reporting_mta=Typed("dns", reporting_mta) if reporting_mta else None,
    )


def reply(of: Head, *, by_machine: bool = False, return_date: dt.date | None = None, via_list: bool = False) -> Reply:
    """An answer: a responder's where it is by a machine."""
    return Reply(
        head=of,
        format="reply",
        report_part=b"",
        automatic=by_machine,
        by_machine=by_machine,
        keyword="auto-replied" if by_machine else None,
        return_date=return_date,
        via_list=via_list,
    )
