from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from samples.golden import messages

from mdnwatch.mail.sent import read_sent

HEADER = b"""\
From: Sam Sender <sam@example.com>
To: Rita <rita@example.org>, "Doe, John" <john@example.net>
Cc: Team: ann@example.org, rita@example.org;
Bcc: secret@example.org
Subject: =?utf-8?q?Angebot_=E2=80=93_pr=C3=BCfen=1B[31m?=
Date: Tue, 03 Mar 2026 12:00:00 +0200
Message-ID: <original@example.com>
Disposition-Notification-To: sam@example.com
Resent-From: other@example.com
Resent-To: wrong@example.com
Resent-Message-ID: <wrong@example.com>
Content-Type: text/plain

"""


def test_a_sent_copy_tells_what_was_sent_and_to_whom() -> None:
    sent = read_sent(HEADER + b"Hello\n", "sales")
    assert sent is not None
    assert sent.message_id == "<original@example.com>"
    assert (sent.from_address, sent.account) == ("sam@example.com", "sales")
    assert sent.recipients == ("rita@example.org", "john@example.net", "ann@example.org", "secret@example.org")
    assert sent.subject == "Angebot \u2013 prüfen[31m"
    assert sent.date == datetime(2026, 3, 3, 10, tzinfo=UTC)
    assert sent.requested.mdn


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_the_header_alone_is_enough(line_end: bytes) -> None:
    assert read_sent(HEADER.replace(b"\n", line_end), "sales") == read_sent(HEADER + b"Hello\n", "sales")
    assert read_sent(HEADER.rstrip(b"\n"), "sales") == read_sent(HEADER, "sales")


def test_a_copy_without_message_id_tells_nothing() -> None:
    assert read_sent(HEADER.replace(b"\nMessage-ID", b"\nX-ID"), "sales") is None
    assert read_sent(b"", "sales") is None


def test_no_receipt_was_asked_for_where_the_field_is_missing_or_empty() -> None:
    # conformance 29: it is "not seen", no more
    for copy in (HEADER.replace(b"Disposition-N", b"X-N"), HEADER.replace(b"n-To: sam@example.com", b"n-To:")):
        sent = read_sent(copy, "sales")
        assert sent is not None
        assert not sent.requested.mdn


@pytest.mark.parametrize("path", [path for path in messages() if "-other" not in path.stem], ids=lambda path: path.stem)
def test_a_report_in_a_sent_folder_is_no_request(path: Path) -> None:
    # conformance 28
    data = b"Disposition-Notification-To: a@b\r\n" + path.read_bytes()
    assert read_sent(data, "sales") is None


def test_a_forwarded_bounce_is_a_message_like_any_other() -> None:
    forwarded = HEADER.replace(b"text/plain", b"multipart/mixed; boundary=b")
    body = b"--b\n\nsee below\n--b\nContent-Type: message/rfc822\n\n" + messages()[5].read_bytes().replace(
        b"\r\n", b"\n"
    )
    assert read_sent(forwarded + body + b"\n--b--\n", "sales") is not None
