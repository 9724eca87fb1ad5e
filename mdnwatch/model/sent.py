"""What was sent, to whom, and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Requested:
    """What the sender asked for, as far as the copy shows it.

    `mdn`: a Disposition-Notification-To field stands in the copy (RFC 8098 §2.1); clients may leave it out of
    the copy, so False is "not seen", never "not asked". `dsn`: NOTIFY values known from a submission of our own.
    """

    mdn: bool = False
    dsn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message of ours, learnt from a copy. Message-ID with angle brackets; addresses plain, as written.

    Copies with the same Message-ID and From are one message, their recipients united.
    """

    message_id: str
    from_address: str
    account: str
    recipients: tuple[str, ...]  # To, Cc, Bcc, in this order, without repetition
    subject: str
    date: datetime | None  # the Date field, aware UTC
    requested: Requested = Requested()
    envelope_id: str | None = None  # RFC 3461 §4.4, before xtext encoding
    reference: str | None = None  # the caller's own word for it
    metadata: str | None = None  # the caller's own data, as JSON
    other_message_ids: tuple[str, ...] = ()  # what a provider made of the Message-ID, with angle brackets
    # Of its stamps the identity of the tokens, and the recipient whom they are for; None: everybody.
    tokens: tuple[tuple[str, str | None], ...] = ()
