from __future__ import annotations

import asyncio
import base64
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from dkim_mail import MESSAGE, rsa_key, signed
from servers.dns import name_server

from mdnwatch.model.authenticity import Dkim
from mdnwatch.verification import dkim_signature
from mdnwatch.verification.dkim_signature import Dns, verify

NAME = "s1._domainkey.there.example"


def key_of_openssl(bits: int) -> tuple[bytes, bytes]:
    """The same of a size that the library makes no more."""
    private = subprocess.check_output(["openssl", "genrsa", "-traditional", str(bits)], stderr=subprocess.DEVNULL)
    public = subprocess.check_output(["openssl", "rsa", "-pubout"], input=private, stderr=subprocess.DEVNULL)
    return private, b"v=DKIM1; p=" + b"".join(public.splitlines()[1:-1])


def ed25519_key() -> tuple[bytes, bytes]:
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(private), b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public)


async def outcome(data: bytes, record: bytes | None = None, domain: str = "there.example") -> Dkim:
    with name_server({NAME: record or rsa_key()[1], "s1._domainkey.evil.example": rsa_key()[1]}) as resolver:
        return await verify(data, domain, Dns(resolver).txt_record)


@pytest.mark.asyncio
async def test_a_signature_of_the_domain_of_from_is_verified() -> None:
    assert await outcome(signed()) is Dkim.PASS
    assert await outcome(signed().replace(b"\n", b"\r\n")) is Dkim.PASS


@pytest.mark.asyncio
async def test_ed25519_signatures_are_verified() -> None:
    private, record = ed25519_key()
    assert await outcome(signed(algorithm=b"ed25519-sha256", private=private), record) is Dkim.PASS


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"It was displayed.", b"It was deleted."),
        (b"<offer@mail.example>\n", b"<another@mail.example>\n"),
        (b"23 Nov 2026", b"24 Nov 2026"),
        (b"Bob <bob@", b"Carol <carol@"),
        (b"From: Bob", b"From: Eve <eve@there.example>\nFrom: Bob"),
    ],
)
@pytest.mark.asyncio
async def test_a_report_changed_after_it_was_signed_does_not_fit_its_signature(before: bytes, after: bytes) -> None:
    data = signed()
    assert data.count(before) == 1
    assert await outcome(data.replace(before, after)) is Dkim.BROKEN


@pytest.mark.parametrize(
    "data",
    [
        MESSAGE,
        signed(domain=b"evil.example"),
        signed(headers=(b"from", b"date")),  # In-Reply-To could be another
        signed(headers=(b"from", b"in-reply-to")),
        signed(length=True),
        signed(algorithm=b"rsa-sha1"),
        signed().replace(b"v=1;", b"v=2;"),
        b"DKIM-Signature: nonsense\n" + MESSAGE,
        b"DKIM-Signature: v=1; a=rsa-sha256; d=there.example; s=\xff; h=from:date:in-reply-to; bh=aaaa; b=bbbb\n"
        + MESSAGE,
        b" leading blank\n" + signed(),
        b"",
    ],
    ids=range(11),
)
@pytest.mark.asyncio
async def test_what_cannot_be_used_counts_as_no_signature(data: bytes) -> None:
    assert await outcome(data) is Dkim.NONE


@pytest.mark.parametrize(
    "record",
    [
        rsa_key()[1].replace(b"k=rsa", b"t=y; k=rsa"),  # RFC 6376 §3.6.1: testing
        b"v=DKIM1; p=",  # revoked
        b"v=DKIM1; k=rsa; p=AAAA",
        b"v=DKIM1; k=unheard-of; p=AAAA",
        b"v=DKIM1; k=ed25519; p=AAAA",
        b"v=DKIM1; s=dns; " + rsa_key()[1].partition(b"; ")[2],
        b"nonsense",
    ],
)
@pytest.mark.asyncio
async def test_a_key_that_cannot_be_used_proves_nothing(record: bytes) -> None:
    assert await outcome(signed(), record) is Dkim.NONE


@pytest.mark.parametrize(("bits", "expected"), [(1024, Dkim.PASS), (512, Dkim.NONE)])
@pytest.mark.asyncio
async def test_a_key_of_less_than_1024_bits_proves_nothing(bits: int, expected: Dkim) -> None:
    private, record = key_of_openssl(bits)
    assert await outcome(signed(private=private), record) is expected


@pytest.mark.asyncio
async def test_one_signature_that_verifies_is_enough() -> None:
    broken = signed(MESSAGE.replace(b"displayed", b"deleted")).partition(b"From:")[0]
    assert await outcome(broken + signed()) is Dkim.PASS
    assert await outcome(signed().partition(b"From:")[0] + broken + MESSAGE) is Dkim.PASS


@pytest.mark.asyncio
async def test_a_missing_key_is_no_signature() -> None:
    with name_server({}) as resolver:
        assert await verify(signed(), "there.example", Dns(resolver).txt_record) is Dkim.NONE


@pytest.mark.asyncio
async def test_a_domain_that_does_not_answer_proves_nothing_and_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dkim_signature, "DNS_SECONDS", 0.5)
    loop = asyncio.get_running_loop()
    with name_server({}, silent=True) as resolver:
        dns = Dns(resolver)
        assert await verify(signed(), "there.example", dns.txt_record) is Dkim.NO_ANSWER
        began = loop.time()
        assert await verify(signed(), "there.example", dns.txt_record) is Dkim.NO_ANSWER
    assert loop.time() - began < dkim_signature.DNS_SECONDS


@pytest.mark.asyncio
async def test_the_loop_goes_on_while_the_dns_is_asked() -> None:
    asked = asyncio.Event()

    async def look_up(_name: str) -> bytes | None:
        await asked.wait()
        return rsa_key()[1]

    verifying = asyncio.create_task(verify(signed(), "there.example", look_up))
    await asyncio.sleep(0)
    asked.set()
    assert await verifying is Dkim.PASS
