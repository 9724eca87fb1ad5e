"""The texts are those of real receipts, without the fields that stand in the part after them; others say so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.golden import REAL

from mdnwatch.mail import mime
from mdnwatch.mail.mime import walk
from mdnwatch.mail.reader import read
from mdnwatch.mail.recognise import wants_body
from mdnwatch.model.authenticity import Grade, grade
from mdnwatch.model.evidence import Kind, extract
from mdnwatch.model.report import Mdn
from mdnwatch.model.stored import stored

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
KMIME = (
    "The message sent on 3 Mar 2026 10:00:00 to Rita Recipient\n<rita@example.test> with subject"
    ' "Quarterly report" has\n'
    "been displayed. This is no guarantee that the message has been read or understood.\n"
)
EXCHANGE = (
    "Your message\n\n   To: Rita Recipient\n   Subject: Quarterly report\n   Sent: Tuesday, March 3, 2026 10:00:00 AM"
    " (UTC+01:00) Berlin\n\n was read on Tuesday, March 3, 2026 10:05:00 AM (UTC+01:00) Berlin.\n"
)
GERMAN = (
    "Ihre Nachricht\n\n   An: Rita Recipient\n   Betreff: Bericht\n   Gesendet: Montag, 13. Dezember 2021 12:33:58"
    " (UTC+01:00) Wien\n\n wurde am Montag, 13. Dezember 2021 12:34:40 (UTC+01:00) Wien gelesen.\n"
)
MOZILLA = (
    "This is a Return Receipt for the mail that you sent to rita@example.test.\n\nNote: This Return Receipt only"
    " acknowledges that the message was displayed on the recipient's computer. There is no guarantee that the"
    " recipient has read or understood the message contents.\n"
)
DELETED = (
    "This is a Return Receipt for the mail that you sent to rita@example.test.\n\nThe message has been deleted. The"
    " person you sent it to may or may not have seen it.\n"
)
UNREAD = EXCHANGE.replace("was read on", "was deleted without being read on")


def message(subject: str, text: str, *, more: str = "") -> bytes:
    return (
        "From: Rita <rita@example.test>\nTo: alice@mail.example\nDate: Tue, 3 Mar 2026 10:05:00 +0100\n"
        f"In-Reply-To: <offer@mail.example>\nSubject: {subject}\n{more}"
        f"Content-Type: text/plain; charset=utf-8\n\n{text}"
    ).encode()


@pytest.mark.parametrize(
    ("subject", "text", "expected", "recipient"),
    [
        ("Disposition notification", KMIME, Kind.DISPLAYED, "rita@example.test"),
        ("Read: Quarterly report", EXCHANGE, Kind.DISPLAYED, None),
        ("Not read: Quarterly report", UNREAD, Kind.DELETED, None),
        ("Gelesen: Bericht", GERMAN, Kind.DISPLAYED, None),
        ("Return Receipt (displayed) - Quarterly report", MOZILLA, Kind.DISPLAYED, "rita@example.test"),
        ("Return Receipt (deleted) - Quarterly report", DELETED, Kind.DELETED, "rita@example.test"),
    ],
)
def test_a_receipt_in_words_is_read(subject: str, text: str, expected: Kind, recipient: str | None) -> None:
    report = read(message(subject, text))
    assert isinstance(report, Mdn)
    assert (report.format, report.defects) == ("free-text", ("heuristic",))
    (piece,) = extract(report, "f" * 64, NOW)
    assert piece.kind is expected
    assert piece.final == ((recipient,) if recipient else ())
    assert report.head.in_reply_to == ("<offer@mail.example>",)
    assert wants_body(message(subject, text).split(b"\n\n")[0])


@pytest.mark.parametrize(
    "name",
    [
        "tb-TBauto-mdn-displayed-manual",
        "roundcube-RCmanual-mdn-displayed-manual",
        "roundcube-RCja-mdn-displayed-manual",
        "evolution-EVauto-mdn-displayed-auto",
        "balsa-BAman-mdn-displayed-auto",
        "kmail-KMman-mdn-displayed-manual",
    ],
)
def test_the_text_of_a_real_receipt_is_understood_without_its_fields(name: str) -> None:
    whole = mime.read((REAL / f"{name}.eml").read_bytes())
    text = next(part for part in walk(whole.root) if part.media_type == "text/plain")
    head = "".join(f"{name}: {(whole.header.get(name) or '')}\n" for name in ("from", "to", "subject", "date"))
    alone = head.encode() + text.data[text.start : text.end]
    report = read(alone)
    assert isinstance(report, Mdn)
    assert report.format == "free-text"
    assert report.disposition is not None
    assert report.disposition.type == "displayed"


def test_a_receipt_in_words_is_doubtful() -> None:
    report = read(message("Disposition notification", KMIME))
    assert isinstance(report, Mdn)
    kept = stored(report, "f" * 64, "sales", NOW, announce=True)
    graded = grade(kept.provenance, NOW.replace(year=2025), "rita@example.test", addressed=True)
    assert (graded.grade, graded.reasons) == (Grade.DOUBTFUL, ("heuristic",))


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Read: this please", "Hello Alice,\n\nplease read the attached.\n"),
        ("Read: Quarterly report", "I did, thanks.\n\n" + EXCHANGE),
        ("Read: Quarterly report", "Thanks, what is this?\n\n> " + KMIME.replace("\n", "\n> ")),
        ("Re: Read: Quarterly report", EXCHANGE),
        ("Fwd: Disposition notification", KMIME),
        ("Gelesen: das Buch der Woche", "Ihre Nachricht\nhat mich gefreut; ich habe das Buch gelesen.\n"),
        ("Return receipt", "This is a return receipt for the goods.\n"),
        ("Quarterly report", KMIME),
        ("Disposition notification", KMIME + "> quoted\n"),
        ("Disposition notification", KMIME + "x" * 2000),
        ("Read: Quarterly report", ""),
        ("Read: Quarterly report", "Your message\n\nTo: me\n\nwas great!\n"),
    ],
)
def test_what_a_person_wrote_is_no_receipt(subject: str, text: str) -> None:
    assert read(message(subject, text)) is None


def test_a_receipt_with_an_attachment_is_mail() -> None:
    parts = f"--b\n\n{KMIME}\n--b\nContent-Type: image/png\n\nx\n--b--\n"
    data = f"From: r@x.example\nSubject: Disposition notification\nContent-Type: multipart/mixed; boundary=b\n\n{parts}"
    assert read(data.encode()) is None


@given(st.text(max_size=400))
def test_no_text_whatever_raises(text: str) -> None:
    read(message("Read: x", "Your message To: " + text))
