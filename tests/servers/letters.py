"""Mail for the whole line: copies of sent messages, and recorded reports whose identifiers are made to fit."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

SAMPLES = Path(__file__).parent.parent / "samples" / "real"
ALICE = "alice@mail.example"

# Every date in a recorded report; the reports are about messages of the same day.
_DATE = re.compile(rb"Mon, 23 Nov 2026 \d\d:\d\d:\d\d (?:\+0000|GMT)")


def sent_copy(
    message_id: str, recipients: Sequence[str], *, sender: str = ALICE, subject: str = "Offer", age: float = 60
) -> bytes:
    """A message that asks for receipts, as it is submitted and then kept in Sent; `age` in seconds."""
    date = format_datetime(datetime.now(UTC) - timedelta(seconds=age))
    lines = [
        f"From: Alice Sender <{sender}>",
        f"To: {', '.join(recipients)}",
        f"Subject: {subject}",
        f"Date: {date}",
        f"Message-ID: {message_id}",
        f"Disposition-Notification-To: Alice Sender <{sender}>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "",
        "Please find our offer attached.",
        "",
    ]
    return "\r\n".join(lines).encode()


def thunderbird_receipt(message_id: str, recipient: str, *, receipt_id: str | None = None) -> bytes:
    """Thunderbird's receipt: it was displayed."""
    return _adapted(
        "tb-TBmanual-mdn-displayed-manual.eml",
        {
            b"<3e425d8227544193.TBmanual@mail.example>": message_id.encode(),
            b"<2bfb1efb-3283-4719-8633-dddd84409dce@mail.example>": _own_id(receipt_id or f"tb-{message_id}"),
            b"tb@mail.example": recipient.encode(),
        },
    )


def sieve_refusal(message_id: str, recipient: str) -> bytes:
    """Dovecot's refusal by a Sieve script, which is an MDN "deleted"."""
    return _adapted(
        "dovecot-sieve-reject-mdn-deleted-auto.eml",
        {
            b"<7deca684451144fc.PFsrej@mail.example>": message_id.encode(),
            b"<dovecot-1795444396-592071-0@vm>": _own_id(f"sieve-{message_id}"),
            b"sieverej@mail.example": recipient.encode(),
        },
    )


def sendmail_bounce(message_id: str, first: str, second: str) -> bytes:
    """Sendmail's report about two recipients, both failed."""
    return _adapted(
        "sendmail-SMmix-dsn-failed.eml",
        {
            b"<63710b99b0724c11.SMmix@mail.example>": message_id.encode(),
            b"<202611231458.6ANEw56w009887@sm.mail.example>": _own_id(f"sm-{message_id}"),
            b"Original-Envelope-Id: SMmix\n": b"",
            b"x@reject.example": first.encode(),
            b"y@quota.example": second.encode(),
        },
    )


def ordinary(number: int) -> bytes:
    """Mail that is no report."""
    return (
        f"From: carol@there.example\r\nTo: {ALICE}\r\nSubject: Lunch {number}?\r\n"
        f"Message-ID: <lunch-{number}@there.example>\r\n\r\nAt noon?\r\n"
    ).encode()


def _own_id(seed: str) -> bytes:
    return f"<{seed.strip('<>').replace('@', '.')}@reports.example>".encode()


def _adapted(name: str, replacements: dict[bytes, bytes]) -> bytes:
    data = (SAMPLES / name).read_bytes().replace(b"\r\n", b"\n")
    for old, new in replacements.items():
        if old not in data:
            raise AssertionError(f"{old!r} is not in {name}")
        data = data.replace(old, new)
    return _DATE.sub(format_datetime(datetime.now(UTC)).encode(), data).replace(b"\n", b"\r\n")


def make_maildir(path: Path) -> Path:
    """A Maildir with its Sent folder."""
    for folder in (path, path / ".Sent"):
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    return path


def deliver(folder: Path, name: str, message: bytes) -> None:
    """As a delivery agent does it: written to tmp, then renamed into new."""
    (folder / "tmp" / name).write_bytes(message)
    (folder / "tmp" / name).rename(folder / "new" / name)


def maildir_name(number: int) -> str:
    """A unique name as delivery agents make them (seconds, process and count, host)."""
    return f"{int(time.time())}.P{os.getpid()}Q{number}.host"
