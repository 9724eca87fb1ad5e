"""The messages are written by hand from RFC 6109, with the fields that providers' receipts are known to have."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.mail.daticert import read_daticert
from mdnwatch.mail.reader import read
from mdnwatch.model.correlation import LookupKey, Rung, lookup_keys
from mdnwatch.model.evidence import Kind, extract
from mdnwatch.model.report import Action, Dsn
from mdnwatch.parse import parse

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ALL = ("uno@pec.example", "due@posta.example")


def daticert(tipo: str, *, errore: str = "nessuno", consegna: str | None = None, more: str = "") -> str:
    to = "".join(f'<destinatari tipo="certificato">{address}</destinatari>' for address in ALL)
    named = f"<consegna>{consegna}</consegna>" if consegna else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<postacert tipo="{tipo}" errore="{errore}">'
        f"<intestazione><mittente>alice@mail.example</mittente>{to}<risposte>alice@mail.example</risposte>"
        "<oggetto>Offerta &amp; contratto</oggetto></intestazione><dati>"
        "<gestore-emittente>Posta S.p.A.</gestore-emittente>"
        '<data zona="+0100"><giorno>23/11/2026</giorno><ora>09:30:05</ora></data>'
        "<identificativo>x1@pec</identificativo>"
        f"<msgid>&lt;offer@mail.example&gt;</msgid>{named}{more}</dati></postacert>"
    )


def receipt(kind: str, xml: str | None = None, *, reference: bool = True, more: str = "") -> bytes:
    reference_field = "X-Riferimento-Message-ID: <offer@mail.example>\n" if reference else ""
    document = (
        f'--m\nContent-Type: application/xml; name="daticert.xml"\nContent-Transfer-Encoding: 8bit\n\n{xml}\n'
        if xml is not None
        else ""
    )
    return (
        f"From: posta-certificata@pec.example\nTo: alice@mail.example\nSubject: RICEVUTA: Offerta\n"
        "Message-ID: <r1@pec.example>\nDate: Mon, 23 Nov 2026 09:30:06 +0100\n"
        f"X-Ricevuta: {kind}\n{reference_field}{more}"
        'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=s\n\n'
        "--s\nContent-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: text/plain\n\nRicevuta\n"
        f"{document}--m--\n--s\nContent-Type: application/pkcs7-signature\n\nMII=\n--s--\n"
    ).encode()


def dsn(data: bytes) -> Dsn:
    report = read(data)
    assert isinstance(report, Dsn)
    assert report.format == "pec"
    return report


def told(data: bytes) -> list[tuple[Kind, tuple[str, ...]]]:
    return [(piece.kind, piece.final) for piece in extract(dsn(data), "f" * 64, NOW)]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("accettazione", Kind.SUBMITTED),
        ("non-accettazione", Kind.FAILED),
        ("presa-in-carico", Kind.RELAYED),
    ],
)
def test_a_receipt_of_the_senders_provider_is_of_all_recipients(kind: str, expected: Kind) -> None:
    assert told(receipt(kind, daticert(kind))) == [(expected, (ALL[0],)), (expected, (ALL[1],))]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("avvenuta-consegna", Kind.DELIVERED),
        ("errore-consegna", Kind.FAILED),
        ("preavviso-errore-consegna", Kind.DELAYED),
    ],
)
def test_a_receipt_of_a_delivery_is_of_the_recipient_it_names(kind: str, expected: Kind) -> None:
    assert told(receipt(kind, daticert(kind, consegna=ALL[1]))) == [(expected, (ALL[1],))]
    # Which of two it is about is not guessed.
    assert told(receipt(kind, daticert(kind))) == [(expected, ())]


def test_taking_charge_is_of_those_that_were_received() -> None:
    xml = daticert("presa-in-carico", more=f"<ricezione>{ALL[0]}</ricezione>")
    assert told(receipt("presa-in-carico", xml)) == [(Kind.RELAYED, (ALL[0],))]


def test_the_message_is_the_one_that_the_receipt_refers_to() -> None:
    key = LookupKey(Rung.RETURNED_MESSAGE_ID, "m:<offer@mail.example>")
    xml = daticert("avvenuta-consegna", consegna=ALL[0])
    assert key in lookup_keys(dsn(receipt("avvenuta-consegna", xml)))
    assert key in lookup_keys(dsn(receipt("avvenuta-consegna", xml, reference=False)))


def test_provider_time_and_error_are_told() -> None:
    xml = daticert(
        "errore-consegna",
        errore="no-dest",
        consegna=ALL[0],
        more="<errore-esteso>5.1.1 - Posta S.p.A. - indirizzo non valido</errore-esteso>",
    )
    report = dsn(receipt("errore-consegna", xml))
    block = report.recipients[0]
    assert block.diagnostic_code is not None
    assert block.diagnostic_code.value == "no-dest: 5.1.1 - Posta S.p.A. - indirizzo non valido"
    assert block.status == "5.1.1"
    assert block.last_attempt_date == datetime(2026, 11, 23, 8, 30, 5, tzinfo=UTC)
    assert report.reporting_mta is not None
    assert report.reporting_mta.value == "Posta S.p.A."
    assert report.returned is not None
    assert report.returned.subject == "Offerta & contratto"


def test_without_certification_data_the_header_tells_what_it_can() -> None:
    report = dsn(receipt("avvenuta-consegna"))
    assert [(block.action, block.final_recipient) for block in report.recipients] == [(Action.DELIVERED, None)]
    assert report.defects == ("no-daticert",)
    assert read(receipt("avvenuta-consegna", reference=False)) is None


def test_the_signed_data_are_believed_before_the_header() -> None:
    report = dsn(receipt("avvenuta-consegna", daticert("errore-consegna", consegna=ALL[0])))
    assert report.recipients[0].action is Action.FAILED
    assert report.defects == ("receipt-types-differ",)


def test_certified_mail_that_somebody_sent_is_ordinary() -> None:
    assert read(receipt("accettazione", daticert("accettazione"), more="X-Trasporto: posta-certificata\n")) is None
    envelope = receipt("x", daticert("posta-certificata")).replace(
        b"X-Ricevuta: x\n", b"X-Trasporto: posta-certificata\n"
    )
    assert read(envelope) is None
    assert read(receipt("rilevazione-virus", daticert("rilevazione-virus"))) is None


def test_parse_calls_a_receipt_of_certified_mail_a_dsn() -> None:
    line = parse(receipt("accettazione", daticert("accettazione")), "x")
    assert (line["kind"], line["format"], line["original_message_id"]) == ("dsn", "pec", "<offer@mail.example>")


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE postacert [<!ENTITY a "x">]><postacert tipo="accettazione">&a;</postacert>',
        '<!DOCTYPE postacert SYSTEM "http://127.0.0.1/x.dtd"><postacert tipo="accettazione"/>',
        "<html/>",
        "<postacert",
        '<?xml version="1.0" encoding="x-none"?><postacert/>',
        "",
    ],
)
def test_a_dtd_and_what_is_no_certification_data_are_refused(document: str) -> None:
    assert read_daticert(document.encode()) is None


def test_hostile_data_take_time_that_grows_with_their_size_only() -> None:
    begun = time.process_time()
    read_daticert(b'<postacert tipo="x">' + b"<a>" * 2_000_000)
    read_daticert(b'<postacert tipo="x">' + b"<destinatari>a@b.example</destinatari>" * 100_000)
    assert time.process_time() - begun < 5


def test_recipients_without_end_are_bounded() -> None:
    many = "".join(f"<destinatari>u{n}@pec.example</destinatari>" for n in range(3000))
    found = read_daticert(f'<postacert tipo="accettazione">{many}</postacert>'.encode())
    assert found is not None
    assert len(found.destinatari) == 2000


@given(st.binary(max_size=300))
def test_no_document_whatever_raises(document: bytes) -> None:
    read_daticert(document)
    read_daticert(b'<postacert tipo="x"><data zona="+9999"><giorno>' + document + b"</giorno></data></postacert>")


@given(st.text(alphabet="0123456789/:+- ", max_size=12), st.text(alphabet="0123456789:", max_size=8))
def test_no_date_whatever_raises(day: str, hour: str) -> None:
    found = read_daticert(f"<postacert><giorno>{day}</giorno><ora>{hour}</ora></postacert>".encode())
    assert found is not None
