"""The keys of a webhook and what they sign: `v1` (HMAC-SHA256) and `v1a` (ed25519) of Standard Webhooks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass

SYMMETRIC = "whsec_"
PRIVATE = "whsk_"
PUBLIC = "whpk_"

# The specification asks for 24 to 64 bytes; below 16 a secret can be searched for.
MIN_KEY_BYTES = 16

SEED_BYTES = 32  # RFC 8032 §5.1.5

_NO_KEY = (
    'is no webhook secret: write "whsec_" and base64 of at least 16 random bytes '
    '(echo "whsec_$(openssl rand -base64 32)"), or "whsk_" and base64 of an ed25519 private key'
)
_NO_PRIVATE_KEY = (
    'is no ed25519 private key: write "whsk_" and base64 of its 32 bytes, or of these and the 32 of its public key '
    '(echo "whsk_$(openssl genpkey -algorithm ed25519 -outform DER | tail -c 32 | base64)")'
)
_A_PUBLIC_KEY = "is a public key, with which nothing can be signed: the receiver needs this one, write the whsk_ here"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: `sign` gives a signature with its version in front, as it stands in `webhook-signature`.

    `identity` tells it from other keys without telling it; `public` is what a receiver verifies with, as
    "whpk_…", where that is another key.
    """

    sign: Callable[[bytes], str]
    identity: bytes
    public: str | None = None


def key_of(secret: str) -> Key:
    """The key that a `whsec_` or `whsk_` secret holds. Raises ValueError, which does not contain it."""
    if secret.startswith(PUBLIC):
        raise ValueError(_A_PUBLIC_KEY)
    if secret.startswith(PRIVATE):
        return _asymmetric(_decoded(secret.removeprefix(PRIVATE), _NO_PRIVATE_KEY))
    if not secret.startswith(SYMMETRIC):
        raise ValueError(_NO_KEY)
    return _symmetric(_decoded(secret.removeprefix(SYMMETRIC), _NO_KEY))


def signatures(keys: Iterable[Key], event_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature for each key, separated by blanks; seconds since 1970."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    return " ".join(key.sign(signed) for key in keys)


def _decoded(encoded: str, help_text: str) -> bytes:
    try:
        # Receivers' libraries accept base64 without its padding, and so do we.
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(help_text) from None


def _symmetric(secret: bytes) -> Key:
    if len(secret) < MIN_KEY_BYTES:
        raise ValueError(_NO_KEY)
    # Copies of an HMAC that has read the key sign: that is quicker, and keeps the interpreter's lock.
    keyed = hmac.new(secret, digestmod=hashlib.sha256)

    def sign(signed: bytes) -> str:
        copy = keyed.copy()
        copy.update(signed)
        return f"v1,{base64.b64encode(copy.digest()).decode('ascii')}"

    return Key(sign, hmac.digest(secret, b"identity", "sha256"))


def _asymmetric(secret: bytes) -> Key:
    # Costs 20 ms to load, and most webhooks are signed with HMAC.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - see above

    if len(secret) not in (SEED_BYTES, 2 * SEED_BYTES):
        raise ValueError(_NO_PRIVATE_KEY)
    private = Ed25519PrivateKey.from_private_bytes(secret[:SEED_BYTES])
    public = private.public_key().public_bytes_raw()
    if secret[SEED_BYTES:] not in (b"", public):
        raise ValueError(_NO_PRIVATE_KEY)

    def sign(signed: bytes) -> str:
        return f"v1a,{base64.b64encode(private.sign(signed)).decode('ascii')}"

    return Key(sign, hashlib.sha256(public).digest(), PUBLIC + base64.b64encode(public).decode("ascii"))
