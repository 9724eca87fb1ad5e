"""A receipt with DKIM signatures, for tests."""

from __future__ import annotations

import base64
from functools import cache

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

MESSAGE = b"""\
From: Bob <bob@there.example>
To: alice@mail.example
Subject: Read: Offer
Date: Mon, 23 Nov 2026 10:00:00 +0000
Message-ID: <receipt@there.example>
In-Reply-To: <offer@mail.example>

It was displayed.
"""


@cache
def rsa_key() -> tuple[bytes, bytes]:
    """A private key as PEM, and the TXT record of its public key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def signed(
    message: bytes = MESSAGE,
    domain: bytes = b"there.example",
    *,
    headers: tuple[bytes, ...] | None = None,
    algorithm: bytes = b"rsa-sha256",
    private: bytes | None = None,
    length: bool = False,
) -> bytes:
    signer = dkim.DKIM(message, signature_algorithm=algorithm)
    key = private or rsa_key()[0]
    field = signer.sign(b"s1", domain, key, include_headers=headers, length=length)
    return bytes(field).replace(b"\r\n", b"\n") + message
