"""S/MIME signatures of a report (RFC 8551), verified with OpenSSL.

The program `openssl` does it: it is on every server, kept by its distribution, and verifies CMS whole, with chain,
purpose and time. The library `cryptography` reads the certificates; it has no public means of verifying CMS.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from mdnwatch.mail.smime import Signed
from mdnwatch.model.authenticity import MAX_ADDRESSES, Smime

# It takes some 10 ms, is asked twice at most, and must not hold up the end of the daemon.
OPENSSL_SECONDS = 4

# openssl-cms(1), of its reasons: a hash that is not the signed one, a signature that the key did not make.
_DOES_NOT_FIT = b":verification failure:"


def verify(signed: Signed, trust: Path, at: datetime) -> tuple[Smime, tuple[str, ...]]:
    """What a signature proves, by certificates valid `at` (aware UTC), and the addresses that its signers have.

    Blocks, for 8 seconds at most. Never raises: what keeps it from being verified is "not-verified".
    """
    try:
        with _memory(signed.content) as content, _memory(b"") as signers:
            chain = ["-CAfile", str(trust), "-attime", str(int(at.timestamp()))]
            if _openssl(signed, content, chain, signers).returncode == 0:
                return Smime.VALID, _addresses(_read(signers))
            # Without the chain: does it fit at all?
            ended = _openssl(signed, content, ["-noverify"], signers)
    except (OSError, subprocess.SubprocessError):
        return Smime.NOT_VERIFIED, ()
    if ended.returncode == 0:
        return Smime.UNTRUSTED, ()
    return (Smime.INVALID if _DOES_NOT_FIT in ended.stderr else Smime.NOT_VERIFIED), ()


def _openssl(signed: Signed, content: int, options: list[str], signers: int) -> subprocess.CompletedProcess[bytes]:
    what = [] if signed.content is None else ["-content", f"/proc/self/fd/{content}"]
    return subprocess.run(  # noqa: S603 - the arguments are ours, but for a path of the configuration
        [
            *("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-out", "/dev/null"),
            *("-no-CApath", "-no-CAstore", "-signer", f"/proc/self/fd/{signers}"),
            *what,
            *options,
        ],
        input=signed.signature,
        capture_output=True,
        check=False,
        timeout=OPENSSL_SECONDS,
        pass_fds=(content, signers),
    )


@contextmanager
def _memory(data: bytes | None) -> Iterator[int]:
    """A file of this content that stands in memory only: mail is written nowhere else."""
    number = os.memfd_create("mdnwatch")
    try:
        with open(number, "wb", closefd=False) as file:
            file.write(data or b"")
        yield number
    finally:
        os.close(number)


def _read(number: int) -> bytes:
    return os.pread(number, os.fstat(number).st_size, 0)


def _addresses(pem: bytes) -> tuple[str, ...]:
    """The addresses of certificates (RFC 8550 §3: rfc822Name of subjectAltName)."""
    from cryptography import x509  # noqa: PLC0415 - it takes long to load, and few reports are signed

    found: set[str] = set()
    try:
        for certificate in x509.load_pem_x509_certificates(pem):
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            found.update(names.get_values_for_type(x509.RFC822Name))
    except (ValueError, x509.ExtensionNotFound):
        return ()
    return tuple(sorted(found)[:MAX_ADDRESSES])
