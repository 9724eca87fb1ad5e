"""Signed reports, honest and forged, from their bytes to what was found of their sender."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dkim_mail import rsa_key, signed
from servers.smime import Authority

from mdnwatch.model.authenticity import Checks, Dkim, Dmarc, Smime
from mdnwatch.model.received import Place, RawMessage, Role
from mdnwatch.sources.trust_settings import TrustSettings
from mdnwatch.verification import verifier
from mdnwatch.verification.dkim_signature import NoAnswerError
from mdnwatch.verification.verifier import Verifier

BOB = "bob@there.example"

REPORT = b"""\
Content-Type: multipart/report; report-type=disposition-notification; boundary=r

--r

It was displayed.
--r
Content-Type: message/disposition-notification

Final-Recipient: rfc822;bob@there.example
Original-Message-ID: <offer@mail.example>
Disposition: manual-action/MDN-sent-manually; displayed

--r--
"""
HEAD = b"From: bob@there.example\nMessage-ID: <r@there.example>\nMIME-Version: 1.0\n"
DISPLAYED, DELETED = b"; displayed", b"; deleted"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.certify(BOB)
    made.certify("alice@mail.example")
    return made


def raw(data: bytes, *, size: int | None = None, account: str = "sales") -> RawMessage:
    # Not before the certificates were made.
    return RawMessage(Place(account, "INBOX", 7, 1), Role.INBOX, data, size or len(data), datetime.now(UTC))


def smime(authority: Authority, content: bytes = REPORT) -> bytes:
    """A multipart/signed entity (RFC 8551 §3.5.3)."""
    signature = base64.encodebytes(authority.sign(content.replace(b"\n", b"\r\n"), "bob"))
    return (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=s\n\n--s\n'
        + content
        + b"\n--s\nContent-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\n\n"
        + signature
        + b"--s--\n"
    )


def beside(signed_part: bytes) -> bytes:
    """A forged report that stands beside somebody's signed one."""
    report = REPORT.replace(DISPLAYED, DELETED)
    return b"Content-Type: multipart/mixed; boundary=m\n\n--m\n" + report + b"\n--m\n" + signed_part + b"\n--m--\n"


def after(signed_part: bytes) -> bytes:
    """A forged report as a third part of what somebody signed."""
    report = REPORT.replace(DISPLAYED, DELETED).replace(b"=r", b"=f").replace(b"--r", b"--f")
    return signed_part.replace(REPORT, b"Hello.\n").replace(b"--s--", b"--s\n" + report + b"\n--s--")


def wrapped(signed_part: bytes) -> bytes:
    """A signed report to which a gateway has added its footer."""
    footer = b"\n--m\nContent-Type: text/plain\n\nScanned.\n--m--\n"
    return b"Content-Type: multipart/mixed; boundary=m\n\n--m\n" + signed_part + footer


def trust(authority: Authority | None = None, *, dkim: bool = False) -> TrustSettings:
    return TrustSettings(
        authserv_ids=("mx.mail.example",), verify_dkim=dkim, smime_trust=authority.certificate if authority else None
    )


async def check(message: RawMessage, settings: TrustSettings) -> Checks:
    async def look_up(name: str) -> bytes | None:
        return rsa_key()[1] if name == "s1._domainkey.there.example" else None

    (found,) = await Verifier({"sales": settings}, look_up).verify([message])
    return found


@pytest.mark.asyncio
async def test_the_signature_over_a_report_is_found_and_verified(authority: Authority) -> None:
    valid = Checks(smime=Smime.VALID, smime_addresses=(BOB,))
    for data in (smime(authority), wrapped(smime(authority)), smime(authority).replace(b"\n", b"\r\n")):
        assert await check(raw(HEAD + data), trust(authority)) == valid


@pytest.mark.asyncio
async def test_a_signed_report_that_was_changed_is_invalid(authority: Authority) -> None:
    forged = smime(authority).replace(DISPLAYED, DELETED)
    assert (await check(raw(HEAD + forged), trust(authority))).smime is Smime.INVALID


@pytest.mark.asyncio
async def test_a_report_beside_a_signed_one_is_not_signed(authority: Authority) -> None:
    for forged in (beside(smime(authority)), after(smime(authority)), after(smime(authority, b"\nHello.\n"))):
        assert (await check(raw(HEAD + forged), trust(authority))).smime is Smime.NONE


@pytest.mark.asyncio
async def test_without_a_trust_store_or_cut_a_signature_is_recognised_and_not_verified(authority: Authority) -> None:
    data = HEAD + smime(authority)
    assert (await check(raw(data), trust())).smime is Smime.NOT_VERIFIED
    assert (await check(raw(data, size=len(data) + 1), trust(authority))).smime is Smime.NOT_VERIFIED
    # Nor for an account of which nothing is configured.
    assert (await check(raw(data, account="else"), trust(authority))).smime is Smime.NOT_VERIFIED


@pytest.mark.asyncio
async def test_a_signed_receipt_is_verified(authority: Authority) -> None:
    body = base64.encodebytes(authority.receipt("bob", "alice"))
    kind = b"Content-Type: application/pkcs7-mime; smime-type=signed-receipt\nContent-Transfer-Encoding: base64\n\n"
    assert await check(raw(HEAD + kind + body), trust(authority)) == Checks(smime=Smime.VALID, smime_addresses=(BOB,))


@pytest.mark.asyncio
async def test_dkim_is_verified_where_it_is_asked_for() -> None:
    assert await check(raw(signed()), trust(dkim=True)) == Checks(dkim=Dkim.PASS)
    assert await check(raw(signed()), trust()) == Checks()


@pytest.mark.asyncio
async def test_of_a_cut_message_it_is_said_that_it_could_not_be_verified() -> None:
    assert await check(raw(signed()[:-5], size=len(signed())), trust(dkim=True)) == Checks(dkim=Dkim.CUT)
    assert await check(raw(HEAD, size=9999), trust(dkim=True)) == Checks()


@pytest.mark.asyncio
async def test_what_the_mail_server_found_is_not_asked_again() -> None:
    async def look_up(_name: str) -> bytes | None:
        raise AssertionError

    data = b"Authentication-Results: mx.mail.example; dkim=pass header.d=there.example\n" + signed()
    (found,) = await Verifier({"sales": trust(dkim=True)}, look_up).verify([raw(data)])
    assert found == Checks(dkim=Dkim.PASS)


@pytest.mark.asyncio
async def test_a_failed_dmarc_stands_beside_a_broken_signature() -> None:
    data = b"Authentication-Results: mx.mail.example; dmarc=fail header.from=there.example\n" + signed() + b"more\n"
    assert await check(raw(data), trust(dkim=True)) == Checks(Dkim.BROKEN, Dmarc.FAIL)


@pytest.mark.asyncio
async def test_a_batch_waits_for_a_dns_that_hangs_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "SECONDS_PER_BATCH", 0.2)

    async def hang(name: str) -> bytes | None:
        await asyncio.Event().wait()
        raise NoAnswerError(name)

    checking = Verifier({"sales": trust(dkim=True)}, hang)
    async with asyncio.timeout(10):
        found = await checking.verify([raw(signed())] * 100)
    assert found == [Checks(dkim=Dkim.NO_ANSWER)] * 100


@pytest.mark.asyncio
async def test_a_trust_store_that_is_gone_verifies_nothing(authority: Authority, tmp_path: Path) -> None:
    gone = TrustSettings(smime_trust=tmp_path / "none.pem")
    assert (await check(raw(HEAD + smime(authority)), gone)).smime is Smime.UNTRUSTED
