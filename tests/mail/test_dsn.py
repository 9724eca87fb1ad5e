from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mdnwatch.mail.reader import read
from mdnwatch.mail.status_code import parse_status
from mdnwatch.model.address import forms
from mdnwatch.model.report import Action, Dsn, Malformed, Typed

HEADER = b"""\
From: Mailer <MAILER-DAEMON@mx.example.org>
Message-ID: <dsn@mx.example.org>
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

sorry
--b
Content-Type: message/delivery-status
"""
MESSAGE = b"""\
Reporting-MTA: dns; mx.example.org
Original-Envelope-Id: Abc+2B
Arrival-Date: Mon, 23 Nov 2026 15:26:38 +0000
"""
ONE = b"Final-Recipient: rfc822; one@example.org\nAction: failed\nStatus: 5.1.1\n"
TWO = b"Final-Recipient: rfc822; two@example.org\nAction: delayed\nStatus: 4.4.1\n"
RETURNED = b"--b\nContent-Type: message/rfc822\n\nMessage-ID: <original@example.com>\n\nHello\n"


def any_of(*blocks: bytes, header: bytes = HEADER, after: bytes = b"") -> Dsn | Malformed:
    report = read(header + b"\n" + b"\n".join(blocks) + b"\n" + after + b"--b--\n")
    assert isinstance(report, Dsn | Malformed)
    return report


def dsn(*blocks: bytes, header: bytes = HEADER, after: bytes = b"") -> Dsn:
    report = any_of(*blocks, header=header, after=after)
    assert isinstance(report, Dsn)
    return report


def fates(report: Dsn) -> list[tuple[str | None, Action]]:
    return [
        (block.final_recipient.value if block.final_recipient else None, block.action) for block in report.recipients
    ]


BOTH = [("one@example.org", Action.FAILED), ("two@example.org", Action.DELAYED)]


def test_a_dsn_on_two_recipients_is_read() -> None:
    # conformance 34, 49
    report = dsn(MESSAGE, ONE, TWO, after=RETURNED)
    assert fates(report) == BOTH
    assert [block.status for block in report.recipients] == ["5.1.1", "4.4.1"]
    assert report.reporting_mta == Typed("dns", "mx.example.org")
    assert report.arrival_date == datetime(2026, 11, 23, 15, 26, 38, tzinfo=UTC)
    assert (report.format, report.defects, report.extensions) == ("rfc3464", (), ())
    assert report.returned is not None
    assert report.returned.message_id == "<original@example.com>"


@pytest.mark.parametrize("separator", [b"\n", b"\n\n\n", b" \t\n", b"\n\r\n"])
def test_blank_lines_before_between_and_after_blocks_do_not_matter(separator: bytes) -> None:
    # conformance 34, 98
    assert fates(dsn(separator + MESSAGE, separator + ONE, separator + TWO + separator)) == BOTH


def test_global_status_is_split_into_its_blocks() -> None:
    # conformance 67, 95
    header = HEADER.replace(b"message/delivery-status", b"message/global-delivery-status")
    assert fates(dsn(MESSAGE, ONE, TWO, header=header)) == BOTH


def test_a_missing_reporting_mta_is_a_defect_and_no_more() -> None:
    # conformance 35
    report = dsn(ONE, TWO)
    assert fates(report) == BOTH
    assert report.defects == ("no-reporting-mta",)


def test_names_and_keywords_have_no_case() -> None:
    # conformance 36
    assert fates(dsn(MESSAGE, ONE.upper().replace(b"ONE@EXAMPLE.ORG", b"one@example.org"), TWO.lower())) == BOTH


def test_mta_names_and_envelope_id_keep_their_case() -> None:
    # conformance 37, 38, 56: neither is decoded here
    report = dsn(MESSAGE.replace(b"mx.ex", b"MX.Ex"), ONE)
    assert report.reporting_mta == Typed("dns", "MX.Example.org")
    assert report.original_envelope_id == "Abc+2B"


def test_a_recipient_that_is_no_mail_address_is_kept_as_it_is() -> None:
    # conformance 39
    report = dsn(MESSAGE, ONE.replace(b"rfc822; one@example.org", b"x400; /S=one/O=x/"))
    assert report.recipients[0].final_recipient == Typed("x400", "/S=one/O=x/")


@pytest.mark.parametrize(
    ("field", "action"),
    [
        (b"failed", Action.FAILED),
        (b"Delayed", Action.DELAYED),
        (b"delivered (to mailing list)", Action.DELIVERED),
        (b"(x) relayed (to non-DSN-aware mailer)", Action.RELAYED),
        (b"EXPANDED", Action.EXPANDED),
        # conformance 51
        (b"failure", Action.FAILED),
        (b"expired", Action.FAILED),
        (b"error", Action.FAILED),
        (b"deliverable", Action.UNKNOWN),
        (b"dwindled", Action.UNKNOWN),
    ],
)
def test_actions_are_mapped(field: bytes, action: Action) -> None:
    block = dsn(MESSAGE, ONE.replace(b"failed", field)).recipients[0]
    assert block.action is action
    assert block.action_as_sent == field.decode()


def test_the_action_decides_and_not_the_status() -> None:
    # conformance 43
    report = dsn(MESSAGE, ONE.replace(b"5.1.1", b"4.4.7"), TWO.replace(b"4.4.1", b"5.0.0"))
    assert fates(report) == BOTH


@pytest.mark.parametrize(
    ("status", "action"), [(b"5.1.1", Action.FAILED), (b"4.4.1", Action.UNKNOWN), (b"2.0.0", Action.UNKNOWN)]
)
@pytest.mark.parametrize("line", [b"", b"Action:\n"])
def test_without_an_action_only_a_permanent_status_tells(status: bytes, action: Action, line: bytes) -> None:
    report = dsn(MESSAGE, ONE.replace(b"Action: failed\n", line).replace(b"5.1.1", status))
    assert report.recipients[0].action is action
    assert report.defects == ("no-action",)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("5.1.1", "5.1.1"),
        (" 4.4.316 (lost)", "4.4.316"),
        ("5.1.1 User unknown", "5.1.1"),
        ("2.0.0;x", "2.0.0"),
        ("5. 1.1", None),
        ("5.01.1", None),
        ("5.1.1234", None),
        ("3.1.1", None),
        ("553 too large", None),
        ("", None),
    ],
)
def test_a_status_code_is_read(text: str, status: str | None) -> None:
    # conformance 44
    assert parse_status(text) == status


def test_a_status_that_is_none_is_kept_as_text() -> None:
    block = dsn(MESSAGE, ONE.replace(b"5.1.1", b"553 too large")).recipients[0]
    assert (block.status, block.extensions) == (None, (("Status", "553 too large"),))


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (b"smtp; 550 5.1.1 no; really", Typed("smtp", "550 5.1.1 no; really")),
        (b"X-Unix; 75", Typed("x-unix", "75")),
        (b"550 5.1.1 no", Typed(None, "550 5.1.1 no")),
    ],
)
def test_diagnostics_of_every_type_are_read(field: bytes, found: Typed) -> None:
    # conformance 45, 46
    block = dsn(MESSAGE, ONE + b"Diagnostic-Code: " + field + b"\n").recipients[0]
    assert block.diagnostic_code == found
    assert block.remote_mta is None


def test_all_fields_of_a_recipient_are_read() -> None:
    # conformance 47, 71
    more = (
        b"Original-Recipient: rfc822;joe+2Btag@example.org\nRemote-MTA: 127.0.0.1\nFinal-Log-ID: x 1\n"
        b"Last-Attempt-Date: Mon, 23 Nov 2026 15:26:38 +0000\nWill-Retry-Until: Tue, 24 Nov 2026 15:26:38 +0000\n"
        b"Localized-Diagnostic: de; voll\n"
    )
    block = dsn(MESSAGE, TWO + more).recipients[0]
    assert block.original_recipient == Typed("rfc822", "joe+2Btag@example.org")
    assert block.remote_mta == Typed(None, "127.0.0.1")
    assert block.final_log_id == "x 1"
    assert block.last_attempt_date == datetime(2026, 11, 23, 15, 26, 38, tzinfo=UTC)
    assert block.will_retry_until == datetime(2026, 11, 24, 15, 26, 38, tzinfo=UTC)
    assert block.extensions == (("Localized-Diagnostic", "de; voll"),)


def test_a_bad_date_is_kept_as_text_and_fails_nothing() -> None:
    # conformance 48
    report = dsn(MESSAGE.replace(b"Mon, 23 Nov", b"some time in"), ONE + b"Last-Attempt-Date: soon\n")
    assert report.arrival_date is None
    assert report.extensions == (("Arrival-Date", "some time in 2026 15:26:38 +0000"),)
    assert report.recipients[0].extensions == (("Last-Attempt-Date", "soon"),)
    assert report.defects == ("bad-date",)


def test_one_block_without_recipient_loses_only_itself() -> None:
    report = dsn(MESSAGE, ONE.replace(b"Final-Recipient:", b"Final-Rec\0ipient"), TWO)
    assert fates(report) == [(None, Action.FAILED), ("two@example.org", Action.DELAYED)]
    assert report.defects == ("no-final-recipient",)


@pytest.mark.parametrize("line", range(3))
def test_a_broken_line_in_one_block_changes_no_other_block(line: int) -> None:
    lines = ONE.splitlines(keepends=True)
    lines[line] = b"\xff\0garbage without colon\n"
    assert fates(dsn(MESSAGE, b"".join(lines), TWO))[-1] == BOTH[1]


def test_recipients_without_a_blank_line_between_them_are_told_apart() -> None:
    assert fates(dsn(MESSAGE, ONE + TWO)) == BOTH
    swapped = b"".join(b"\n".join((*reversed(block.splitlines()[:2]), b"")) for block in (ONE, TWO))
    assert fates(dsn(MESSAGE, swapped)) == BOTH


def test_a_doubled_field_makes_no_second_recipient() -> None:
    assert fates(dsn(MESSAGE, ONE + b"Status: 5.0.0\n")) == BOTH[:1]


def test_a_block_torn_in_two_is_one_recipient() -> None:
    assert fates(dsn(MESSAGE, ONE.replace(b"Action", b"\nAction"), TWO)) == BOTH
    # Boxbe's server writes Action among the fields of the message.
    assert fates(dsn(MESSAGE + b"Action: failed\n", ONE.replace(b"Action: failed\n", b""))) == BOTH[:1]


def test_fields_of_message_and_recipient_in_one_block_are_told_apart() -> None:
    # Mimecast
    report = dsn(MESSAGE.replace(b":", b" :") + ONE.replace(b":", b" :"))
    assert fates(report) == BOTH[:1]
    assert report.reporting_mta == Typed("dns", "mx.example.org")


def test_only_an_original_recipient_is_enough() -> None:
    # McAfee's gateway
    report = dsn(b"Original-Recipient: <one@example.org>\nAction: failed\nStatus: 5.1.1\n")
    assert forms(report.recipients[0].original_recipient) == ("one@example.org",)
    assert sorted(report.defects) == ["no-final-recipient", "no-reporting-mta"]


@pytest.mark.parametrize("blocks", [(MESSAGE,), (b"",), (b"\0\xff",)])
def test_a_dsn_about_nobody_is_malformed(blocks: tuple[bytes, ...]) -> None:
    report = any_of(*blocks, after=RETURNED)
    assert isinstance(report, Malformed)
    assert report.declared == "delivery-status"
    assert report.returned is not None
    assert report.returned.message_id == "<original@example.com>"


def test_a_message_id_in_the_report_or_its_text_is_found_where_nothing_is_returned() -> None:
    report = dsn(MESSAGE + b"X-Original-Message-ID: <x@y>\n", ONE)
    assert report.inline_message_ids == ("<x@y>",)
    header = HEADER.replace(b"sorry", b"sorry about Message-ID: <original@example.com>")
    assert dsn(MESSAGE, ONE, header=header).inline_message_ids == ("<original@example.com>",)
    assert dsn(MESSAGE, ONE, header=header, after=RETURNED).inline_message_ids == ()


@pytest.mark.parametrize(
    "media",
    [
        b"message/rfc822",
        b"text/rfc822-headers",
        b"message/global",
        b"MESSAGE/Global-Headers",
        b"message/rfc822-headers",
    ],
)
def test_the_original_is_returned_under_any_of_its_types(media: bytes) -> None:
    # conformance 64, 65, 60
    report = dsn(MESSAGE, ONE, after=RETURNED.replace(b"message/rfc822", media).replace(b"\n\nHello", b""))
    assert report.returned is not None
    assert (report.returned.message_id, report.head.message_id) == ("<original@example.com>", "<dsn@mx.example.org>")


def test_an_encoded_original_is_read() -> None:
    header = b"--b\nContent-Type: message/global\nContent-Transfer-Encoding: quoted-printable\n\n"
    encoded = header + b"Message-ID: =3Coriginal@example.com>\n"
    report = dsn(MESSAGE, ONE, after=encoded)
    assert report.returned is not None
    assert report.returned.message_id == "<original@example.com>"
