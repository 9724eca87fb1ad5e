"""From a copy of a sent message to what was sent, to whom, and what was asked for."""

from __future__ import annotations

from mdnwatch.mail import mime
from mdnwatch.mail.addresses import addresses, first_address
from mdnwatch.mail.dates import parse_date
from mdnwatch.mail.head import other_message_ids
from mdnwatch.mail.message_ids import message_id
from mdnwatch.mail.recognise import find_report
from mdnwatch.mail.words import decode_words
from mdnwatch.model.sent import Requested, SentMessage
from mdnwatch.model.text import clean


def read_sent(data: bytes, account: str) -> SentMessage | None:
    """The message of a copy, or of its header alone; None where it has no Message-ID, or is itself a report.

    RFC 8098 §2.1: no MDN is asked for by an MDN. Resent fields tell of another sending (RFC 5322 §3.6.6).
    """
    message = mime.read(data)
    header = message.header
    identity = message_id(header.get("message-id"))
    if identity is None or find_report(message) is not None:
        return None
    recipients = [address for name in ("to", "cc", "bcc") for address in addresses(_joined(header.all(name)))]
    return SentMessage(
        message_id=identity,
        from_address=first_address(header.get("from")) or "",
        account=account,
        recipients=tuple(dict.fromkeys(recipients)),
        subject=clean(decode_words(header.get("subject") or "")),
        date=parse_date(header.get("date") or ""),
        # RFC 8098 §2.1
        requested=Requested(mdn=bool(header.get("disposition-notification-to"))),
        other_message_ids=other_message_ids(header),
    )


def _joined(fields: tuple[str, ...]) -> str:
    """One list of the addresses of several fields of a name, which RFC 5322 §3.6 forbids and mailers write."""
    return ", ".join(fields)
