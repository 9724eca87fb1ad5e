from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from servers.smime import Authority

from mdnwatch.mail.smime import Signed
from mdnwatch.model.authenticity import Smime
from mdnwatch.verification.smime_signature import verify

CONTENT = b"Content-Type: text/plain\r\n\r\nIt was displayed.\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.certify("bob@there.example")
    made.certify("server@there.example", usage="serverAuth")
    made.certify("alice@mail.example")
    return made


def now() -> datetime:
    return datetime.now(UTC)


def test_a_valid_signature_names_the_addresses_of_its_certificate(authority: Authority) -> None:
    signed = Signed(authority.sign(CONTENT, "bob"), CONTENT)
    assert verify(signed, authority.certificate, now()) == (Smime.VALID, ("bob@there.example",))


def test_of_two_signers_both_are_named(authority: Authority) -> None:
    signature = authority.sign(CONTENT, "bob", "-signer", "alice.pem", "-inkey", "alice.key")
    found = verify(Signed(signature, CONTENT), authority.certificate, now())
    assert found == (Smime.VALID, ("alice@mail.example", "bob@there.example"))


def test_what_was_changed_after_it_was_signed_is_invalid(authority: Authority) -> None:
    signature = authority.sign(CONTENT, "bob")
    changed = CONTENT.replace(b"displayed", b"deleted")
    assert verify(Signed(signature, changed), authority.certificate, now()) == (Smime.INVALID, ())
    forged = bytearray(signature)
    forged[-10] ^= 1
    assert verify(Signed(bytes(forged), CONTENT), authority.certificate, now()) == (Smime.INVALID, ())


def test_a_certificate_of_another_authority_use_or_time_is_untrusted(authority: Authority, tmp_path: Path) -> None:
    bob = Signed(authority.sign(CONTENT, "bob"), CONTENT)
    other = Authority(tmp_path)
    assert verify(bob, other.certificate, now()) == (Smime.UNTRUSTED, ())
    assert verify(bob, authority.certificate, now() + timedelta(days=10)) == (Smime.UNTRUSTED, ())
    server = Signed(authority.sign(CONTENT, "server"), CONTENT)
    assert verify(server, authority.certificate, now()) == (Smime.UNTRUSTED, ())


def test_what_cannot_be_verified_is_neither_valid_nor_invalid(authority: Authority, tmp_path: Path) -> None:
    signature = authority.sign(CONTENT, "bob")
    without_certificate = authority.sign(CONTENT, "bob", "-nocerts")
    for damaged in (b"", b"\x30\x80", signature[:300], without_certificate):
        assert verify(Signed(damaged, CONTENT), authority.certificate, now()) == (Smime.NOT_VERIFIED, ())
    # The trust store is gone: the signature fits, and nobody vouches for it.
    assert verify(Signed(signature, CONTENT), tmp_path / "none.pem", now()) == (Smime.UNTRUSTED, ())


def test_without_openssl_nothing_is_verified(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = Signed(authority.sign(CONTENT, "bob"), CONTENT)
    monkeypatch.setenv("PATH", "/nowhere")
    assert verify(signed, authority.certificate, now()) == (Smime.NOT_VERIFIED, ())


def test_a_signed_receipt_holds_what_it_signs(authority: Authority) -> None:
    receipt = authority.receipt("bob", "alice")
    assert verify(Signed(receipt), authority.certificate, now()) == (Smime.VALID, ("bob@there.example",))
    damaged = bytearray(receipt)
    damaged[-10] ^= 1
    assert verify(Signed(bytes(damaged)), authority.certificate, now()) == (Smime.INVALID, ())
