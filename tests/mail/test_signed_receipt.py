"""The receipt is made by hand from RFC 2634 and RFC 5652: the beginning of a SignedData, as far as it is looked at."""

from __future__ import annotations

import base64

from mdnwatch.mail.reader import read
from mdnwatch.model.report import Action, Dsn
from mdnwatch.parse import parse

OID_RECEIPT = bytes.fromhex("060b2a864886f70d0109100101")
OID_DATA = bytes.fromhex("06092a864886f70d010701")
BEFORE = bytes.fromhex("308006092a864886f70d010702a0803080020103310f300d06096086480165030402010500")


def smime(oid: bytes, *, kind: str = "application/pkcs7-mime") -> bytes:
    content = base64.encodebytes(BEFORE + b"\x30\x80" + oid + b"\xa0\x80" + bytes(2000)).decode()
    return (
        "From: Bob <bob@there.example>\nIn-Reply-To: <offer@mail.example>\nDate: Mon, 23 Nov 2026 09:00:00 +0000\n"
        f"Content-Type: {kind}; smime-type=signed-receipt; name=smime.p7m\n"
        f"Content-Transfer-Encoding: base64\n\n{content}"
    ).encode()


def test_a_signed_receipt_proves_a_delivery_and_says_that_it_was_not_verified() -> None:
    # conformance 83
    for kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        report = read(smime(OID_RECEIPT, kind=kind))
        assert isinstance(report, Dsn)
        assert (report.format, report.defects) == ("smime-receipt", ("signature-not-verified",))
        (block,) = report.recipients
        assert block.action is Action.DELIVERED
        assert block.final_recipient is not None
        assert block.final_recipient.value == "bob@there.example"
        assert report.head.in_reply_to == ("<offer@mail.example>",)
    assert parse(smime(OID_RECEIPT), "x")["kind"] == "dsn"


def test_other_mail_in_s_mime_is_ordinary_whatever_it_calls_itself() -> None:
    assert read(smime(OID_DATA)) is None
    assert read(smime(b"")) is None
    late = smime(OID_RECEIPT).replace(base64.b64encode(BEFORE[:9]), base64.b64encode(BEFORE[:9] + bytes(1200)))
    assert read(late) is None
