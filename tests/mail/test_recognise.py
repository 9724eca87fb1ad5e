from __future__ import annotations

import json
from pathlib import Path

import pytest
from samples.golden import messages

from mdnwatch.mail.reader import read
from mdnwatch.mail.recognise import wants_body
from mdnwatch.model.report import Dsn, Malformed, Mdn

FIELDS = b"Final-Recipient: rfc822; a@example.org\nDisposition: manual-action/MDN-sent-manually; displayed\n"
REPORT = (
    b"Content-Type: multipart/report; report-type=disposition-notification; boundary=r\n\n"
    b"--r\n\nread\n--r\nContent-Type: message/disposition-notification\n\n" + FIELDS + b"\n--r--\n"
)
PERSON = b"From: Ann <ann@example.org>\nSubject: Re: it\n"
DAEMON = b"From: Mailer Daemon <MAILER-DAEMON@example.org>\n"


def wrapped(kind: bytes, inner: bytes = REPORT) -> bytes:
    return b"Content-Type: multipart/" + kind + b"; boundary=w\n\n--w\n" + inner + b"\n--w\n\nfooter\n--w--\n"


@pytest.mark.parametrize("kind", [b"signed", b"mixed", b"parallel"])
def test_a_report_wrapped_on_its_way_is_a_report(kind: bytes) -> None:
    # conformance 61
    assert isinstance(read(PERSON + wrapped(kind)), Mdn)
    assert isinstance(read(PERSON + wrapped(b"mixed", wrapped(kind))), Mdn)


def test_a_report_in_a_forwarded_message_is_none() -> None:
    # conformance 61
    forwarded = b"Content-Type: message/rfc822\n\n" + PERSON + REPORT
    assert read(PERSON + wrapped(b"mixed", forwarded)) is None
    assert read(DAEMON + wrapped(b"mixed", forwarded)) is None
    assert read(PERSON + wrapped(b"digest", b"\n" + PERSON + REPORT)) is None


def test_a_report_part_that_a_person_attached_is_no_report() -> None:
    attached = b"Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822; a@b\nAction: failed\n"
    assert read(PERSON + wrapped(b"mixed", attached)) is None
    assert isinstance(read(DAEMON + wrapped(b"mixed", attached)), Dsn)
    # GNU mailutils sends without From.
    assert isinstance(read(b"To: x@example.org\n" + wrapped(b"mixed", attached)), Dsn)


def test_the_type_of_the_part_is_trusted_where_report_type_is_missing_or_wrong() -> None:
    # conformance 62
    assert isinstance(read(REPORT.replace(b" report-type=disposition-notification;", b"")), Mdn)
    assert isinstance(
        read(REPORT.replace(b"report-type=disposition-notification", b"report-type=delivery-status")), Mdn
    )


def test_the_first_part_may_be_of_any_type() -> None:
    # conformance 63
    alternative = b"\n--a\n\nread\n--a\nContent-Type: text/html\n\n<p>\n--a--\n"
    first = b"--r\nContent-Type: multipart/alternative; boundary=a\n" + alternative
    assert isinstance(read(REPORT.replace(b"--r\n\nread\n", first)), Mdn)


def test_a_report_part_alone_is_a_report() -> None:
    assert isinstance(read(b"Content-Type: message/disposition-notification\n\n" + FIELDS), Mdn)


def test_the_first_of_two_reports_counts() -> None:
    # conformance 25: an MDN is about one message; Delta Chat sends two in a multipart/parallel.
    second = REPORT.replace(b"a@example.org", b"b@example.org").replace(b"=r\n", b"=s\n").replace(b"--r", b"--s")
    report = read(
        PERSON + b"Content-Type: multipart/parallel; boundary=w\n\n--w\n" + REPORT + b"\n--w\n" + second + b"--w--"
    )
    assert isinstance(report, Mdn)
    assert report.final_recipient is not None
    assert report.final_recipient.value == "a@example.org"


def test_a_declared_report_without_its_part_is_malformed() -> None:
    report = read(REPORT.replace(b"message/disposition-notification", b"image/png").replace(b"Disposition:", b"X:"))
    assert isinstance(report, Malformed)
    assert report.declared == "disposition-notification"
    assert "no-report-part" in report.defects


def test_fields_of_a_declared_report_are_found_in_its_text() -> None:
    retyped = REPORT.replace(b"message/disposition-notification", b"text/plain")
    assert isinstance(read(retyped), Mdn)
    header = b"Content-Type: multipart/report; report-type=delivery-status; boundary=lost\n"
    flat = header + b"\nsorry\n\nReporting-MTA: dns; x\n\n"
    block = b"Final-Recipient: rfc822; a@b\nAction: failed\nStatus: 5.0.0\n"
    report = read(flat + block + b"\nReceived: x\nMessage-ID: <o@x>\n\n" + block.replace(b"a@b", b"quoted@b"))
    assert isinstance(report, Dsn)
    assert [found.final_recipient.value for found in report.recipients if found.final_recipient] == ["a@b"]


@pytest.mark.parametrize("field", [b"AS2-Version: 1.1", b"AS2-From: a\nAS2-To: b"])
def test_receipts_of_as2_are_left_alone(field: bytes) -> None:
    assert read(field + b"\n" + REPORT) is None


def test_a_disposition_in_a_delivery_status_is_a_receipt() -> None:
    # GNU mailutils
    fields = FIELDS + b"Action: deleted\nLast-Attempt-Date: Mon, Nov 23 15:19:31 2026 +0000\n"
    report = read(b"To: a@b\n" + wrapped(b"mixed", b"Content-Type: message/delivery-status\n\n" + fields))
    assert isinstance(report, Mdn)
    # A delivery report that mentions one is a delivery report.
    other = fields.replace(b"Action: deleted", b"Action: failed")
    assert isinstance(read(b"To: a@b\n" + wrapped(b"mixed", b"Content-Type: message/delivery-status\n\n" + other)), Dsn)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"From: a@b\n\nhello",
        b"Content-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b--",
        b"Content-Type: multipart/report; report-type=x-other; boundary=b\n\n--b\n\nx\n--b--",
        b"Content-Type: text/plain; report-type=disposition-notification\n\n" + FIELDS,
        PERSON + b"\n" + FIELDS,
    ],
)
def test_ordinary_mail_is_no_report(data: bytes) -> None:
    assert read(data) is None


@pytest.mark.parametrize("path", messages(), ids=lambda path: path.stem)
def test_the_header_of_every_real_report_asks_for_its_body(path: Path) -> None:
    assert wants_body(path.read_bytes().partition(b"\r\n\r\n")[0] + b"\r\n\r\n")


@pytest.mark.parametrize(
    "header",
    [
        b"Subject: Gelesen: Angebot",
        b"Subject: =?utf-8?q?Lu_=3A_Offre?=",
        b"Subject: Letto: Offerta",
        "Subject: Leído: Oferta".encode(),
        "Subject: 開封済み: 見積".encode(),
        b"Content-Type: multipart/signed; boundary=x",
        b"Auto-Submitted: auto-replied",
        b"Return-Path: <>",
        b"X-Failed-Recipients: a@b",
        b"From: postmaster@example.org",
        b"From: =?utf-8?q?Mail_Delivery_System?= <x@example.org>\nSubject: Undelivered Mail Returned to Sender",
        b"Subject: Automatische Antwort: Angebot",
        b"Subject: Out of Office: offer",
        b"Content-Type: application/ms-tnef",
    ],
)
def test_what_may_be_a_report_is_fetched(header: bytes) -> None:
    assert wants_body(header + b"\nFrom: a@example.org\nReturn-Path: <a@example.org>\n")


@pytest.mark.parametrize(
    "header",
    [
        b"Subject: Re: Offer",
        b"Subject: Minutes of Monday\nContent-Type: multipart/mixed; boundary=x",
        b"Subject: Bread: 3 loaves\nAuto-Submitted: no",
        b"Subject: Lunch?\nContent-Type: multipart/alternative; boundary=x",
    ],
)
def test_ordinary_mail_is_not_fetched(header: bytes) -> None:
    assert not wants_body(b"From: ann@example.org\nReturn-Path: <ann@example.org>\n" + header + b"\n")


def test_the_structure_shows_a_wrapped_report() -> None:
    structure = b'(("text" "plain") ("message" "DISPOSITION-NOTIFICATION") "report") ("text" "plain") "mixed"'
    header = b"From: ann@example.org\nSubject: Offer\n"
    assert wants_body(header, structure)
    assert not wants_body(header, b'("text" "plain") ("text" "html") "alternative"')


CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


@pytest.mark.collection
@pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus is not on this machine")
def test_of_the_corpus_every_report_is_fetched_and_most_ordinary_mail_is_not() -> None:
    rows = [json.loads(line) for line in (CORPUS / "manifest.jsonl").read_text("utf-8").splitlines()]
    fetched: dict[bool, list[bool]] = {True: [], False: []}
    missed = []
    for row in rows:
        data = (CORPUS / row["file"]).read_bytes()
        end = min(found for found in (data.find(b"\n\n"), data.find(b"\r\n\r\n"), len(data)) if found >= 0)
        wanted = wants_body(data[:end])
        fetched[row["kind"] == "ordinary"].append(wanted)
        if row["kind"] in {"dsn", "mdn"} and not wanted:
            missed.append(row["file"])
    assert missed == []
    assert sum(fetched[False]) >= 0.99 * len(fetched[False])
    assert sum(fetched[True]) <= 0.15 * len(fetched[True])
