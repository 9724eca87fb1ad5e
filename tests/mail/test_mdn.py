from __future__ import annotations

import base64
import quopri

import pytest

from mdnwatch.mail.mdn import parse_disposition
from mdnwatch.mail.reader import read
from mdnwatch.model.address import forms
from mdnwatch.model.report import DispositionType, Malformed, Mdn, Typed

HEADER = b"""\
From: Rita <rita@example.org>
To: sam@example.com
Message-ID: <mdn@example.org>
Content-Type: multipart/report; report-type=disposition-notification; boundary=b

--b
Content-Type: text/plain

read
--b
Content-Type: message/disposition-notification
"""
FIELDS = b"""\
Final-Recipient: rfc822; rita@example.org
Original-Message-ID: <original@example.com>
Disposition: manual-action/MDN-sent-manually; displayed
"""


def mdn(fields: bytes = FIELDS, header: bytes = HEADER) -> Mdn:
    report = read(header + b"\n" + fields + b"\n--b--\n")
    assert isinstance(report, Mdn)
    return report


def malformed(fields: bytes, header: bytes = HEADER) -> Malformed:
    report = read(header + b"\n" + fields + b"\n--b--\n")
    assert isinstance(report, Malformed)
    return report


def test_an_mdn_of_two_parts_is_read() -> None:
    # conformance 1: part 3 is optional
    report = mdn()
    assert report.original_message_id == "<original@example.com>"
    assert report.final_recipient == Typed("rfc822", "rita@example.org")
    assert report.disposition is not None
    assert report.disposition.type is DispositionType.DISPLAYED
    assert (report.returned, report.format, report.defects) == (None, "rfc8098", ())


def test_types_are_compared_without_case() -> None:
    # conformance 2
    header = HEADER.replace(b"report-type=disposition", b"Report-Type=DISPOSITION").replace(
        b"message/disp", b"MESSAGE/Disp"
    )
    assert mdn(header=header) == mdn()


def test_names_have_no_case_and_no_order() -> None:
    # conformance 3, 4
    fields = b"X-One: 1\n" + b"\n".join(reversed(FIELDS.lower().splitlines())) + b"\nX-Two: 2\n"
    report = mdn(fields)
    assert (report.final_recipient, report.disposition) == (mdn().final_recipient, mdn().disposition)
    assert report.extensions == (("X-One", "1"), ("X-Two", "2"))


def test_long_fields_are_unfolded() -> None:
    # conformance 5
    report = mdn(FIELDS.replace(b": ", b":\n\t"))
    assert report.disposition == mdn().disposition
    assert report.original_message_id == "<original@example.com>"


MANUAL = ("manual-action", "mdn-sent-manually")
AUTOMATIC = ("automatic-action", "mdn-sent-automatically")


@pytest.mark.parametrize(
    ("field", "modes", "kind", "modifiers"),
    [
        # conformance 8, 9
        ("manual-action/MDN-sent-manually; displayed", MANUAL, "displayed", ()),
        ("AUTOMATIC-ACTION / mdn-SENT-automatically;Deleted", AUTOMATIC, "deleted", ()),
        # conformance 6
        (
            r"manual-action(by (hand)) / (\)) MDN-sent-manually (x);(y) processed (z) / error (!) , x-odd",
            MANUAL,
            "processed",
            ("error", "x-odd"),
        ),
        # conformance 17
        ("automatic-action/mdn-sent-automatically; displayed/warning,old", AUTOMATIC, "displayed", ("warning", "old")),
        # conformance 16
        ("manual-action/MDN-sent-manually; denied", MANUAL, "denied", ()),
        ("automatic-action/MDN-sent-automatically; failed/error", AUTOMATIC, "failed", ("error",)),
        ("displayed", (None, None), "displayed", ()),
    ],
)
def test_a_disposition_is_read(
    field: str, modes: tuple[str | None, str | None], kind: str, modifiers: tuple[str, ...]
) -> None:
    found = parse_disposition(field)
    assert found is not None
    assert (found.action_mode, found.sending_mode) == modes
    assert found.type is DispositionType(kind)
    assert found.modifiers == modifiers


def test_a_type_that_no_rfc_has_is_kept_as_sent() -> None:
    found = parse_disposition("manual-action/MDN-sent-manually; pondered")
    assert found is not None
    assert (found.type, found.type_as_sent) == (None, "pondered")
    assert mdn(FIELDS.replace(b"displayed", b"pondered")).defects == ("disposition-type-unknown",)


@pytest.mark.parametrize(
    "field", ["", ";", "manual-action/MDN-sent-manually", "manual-action/MDN-sent-manually;", "(x)"]
)
def test_a_disposition_without_type_is_none(field: str) -> None:
    assert parse_disposition(field) is None


@pytest.mark.parametrize("fields", [FIELDS.replace(b"Disposition", b"Dispositio"), b"", b"nonsense\n"])
def test_an_mdn_without_disposition_is_malformed(fields: bytes) -> None:
    # conformance 10
    report = malformed(fields)
    assert report.declared == "disposition-notification"
    assert "Disposition" in report.reason
    assert report.head.message_id == "<mdn@example.org>"


def test_an_mdn_without_final_recipient_is_read_with_a_defect() -> None:
    # conformance 10: DirectProject's agent leaves it out; the message may have had one recipient.
    report = mdn(FIELDS.replace(b"Final-Recipient", b"X-Recipient"))
    assert report.final_recipient is None
    assert report.defects == ("no-final-recipient",)


def test_error_fields_are_all_kept_and_have_no_comments() -> None:
    # conformance 15, 73
    report = mdn(FIELDS + "Error: no (space) left\nERROR: voll \u2013 prüfen\nWarning: w\n".encode())
    assert report.errors == ("no (space) left", "voll \u2013 prüfen")
    assert report.extensions == (("Warning", "w"),)


def test_an_original_message_id_may_be_missing() -> None:
    # conformance 18
    report = mdn(FIELDS.replace(b"Original-Message-ID", b"X-Y"))
    assert (report.original_message_id, report.original_message_ids) == (None, ())


def test_several_original_message_ids_are_all_kept() -> None:
    report = mdn(FIELDS.replace(b"<original@example.com>", b"<a@b> <c@d>"))
    assert report.original_message_id == "<a@b>"
    assert report.original_message_ids == ("<a@b>", "<c@d>")


def test_the_recipient_keeps_its_case_and_its_form() -> None:
    # conformance 19, 20, 21
    report = mdn(
        FIELDS.replace(b"rfc822; rita@example.org", b"RFC822; Rita.R@Example.ORG") + b"Original-Recipient: unknown; x\n"
    )
    assert report.final_recipient == Typed("rfc822", "Rita.R@Example.ORG")
    assert report.original_recipient == Typed("unknown", "x")


def test_encoded_words_in_addresses_stay() -> None:
    # conformance 7
    report = mdn(FIELDS.replace(b"rita@example.org", b"=?utf-8?q?rita?=@example.org"))
    assert report.final_recipient == Typed("rfc822", "=?utf-8?q?rita?=@example.org")


def test_reporting_ua_and_gateway_are_read() -> None:
    # conformance 23, 24
    report = mdn(FIELDS + b"Reporting-UA: pc.example; Mail 1.0; build 7\nMDN-Gateway: SMTP; gw.example\n")
    assert report.reporting_ua == "pc.example; Mail 1.0; build 7"
    assert report.mdn_gateway == Typed("smtp", "gw.example")


@pytest.mark.parametrize(
    "address",
    [b"utf-8; bj+C3+B8rn@example.org", rb"utf-8; bj\x{F8}rn@example.org", "utf-8; bjørn@example.org".encode()],
)
def test_the_three_forms_of_a_utf8_address_stand_as_sent_and_mean_the_same(address: bytes) -> None:
    # conformance 69, 70
    report = mdn(FIELDS.replace(b"rfc822; rita@example.org", address))
    assert report.final_recipient == Typed("utf-8", address.decode().partition("; ")[2])
    assert forms(report.final_recipient)[0] == "bjørn@example.org"


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
@pytest.mark.parametrize("media", [b"disposition-notification", b"global-disposition-notification"])
def test_the_transfer_encoding_of_the_report_part_is_undone(encoding: str, media: bytes) -> None:
    # conformance 67, 68, 96
    encoded = base64.encodebytes(FIELDS) if encoding == "base64" else quopri.encodestring(FIELDS, quotetabs=True)
    header = HEADER.replace(b"message/disposition-notification", b"message/" + media)
    report = mdn(encoded, header + f"Content-Transfer-Encoding: {encoding}\n".encode())
    assert (report.final_recipient, report.disposition) == (mdn().final_recipient, mdn().disposition)
    assert report.report_part == FIELDS


def test_a_part_that_is_not_encoded_as_it_says_is_read() -> None:
    report = mdn(FIELDS, HEADER + b"Content-Transfer-Encoding: base64\n")
    assert report.disposition == mdn().disposition


@pytest.mark.parametrize("before", [b"\n", b"\n\n \n", b"Content-Type: text/plain\n\n"])
def test_blank_lines_and_a_nested_part_before_the_fields_do_not_matter(before: bytes) -> None:
    # conformance 97, 100
    assert mdn(before + FIELDS).disposition == mdn().disposition


def test_fields_in_the_header_of_the_report_part_are_read() -> None:
    report = read(HEADER + FIELDS + b"--b--\n")
    assert isinstance(report, Mdn)
    assert report.disposition == mdn().disposition


def test_a_null_return_path_is_no_condition() -> None:
    # conformance 27
    assert mdn(header=b"Return-Path: <rita@example.org>\n" + HEADER).head.return_path == "rita@example.org"
    assert mdn(header=b"Return-Path: <>\n" + HEADER).head.return_path == ""
    assert mdn().head.return_path is None
