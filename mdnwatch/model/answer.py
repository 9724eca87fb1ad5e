"""Whether an answer to a message is one to us, and the keyed hashes under which it may wait for that message."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection

from mdnwatch.model.address import canonical, without_case, without_sub_address
from mdnwatch.model.report import Reply

# 128 bits: enough that no two are ever equal.
HASH_BYTES = 16

# The forms in which addresses are compared, the strictest first; `address.find` goes by the same.
_FORMS: tuple[Callable[[str], str], ...] = (canonical, without_case, without_sub_address)


def is_to_us(reply: Reply, own: Collection[str]) -> bool:
    """Whether a reply tells of a recipient: neither our own mail does, nor what a list passes on to everybody.

    `own` are the addresses of the account, as `without_sub_address` writes them. A list that is one of them, as a
    shared address often is (Google Groups), passes on what was written to us.
    """
    sender = reply.head.from_address
    if sender is None or without_sub_address(sender) in own:
        return False
    return not reply.via_list or any(without_sub_address(address) in own for address in reply.head.to_addresses)


def key_hash(secret: bytes, key: str, sender: str) -> bytes:
    """The hash of a key of model.correlation together with who answers, whatever the case and sub-address."""
    return keyed_hash(secret, key, without_sub_address(sender))


def sender_hashes(secret: bytes, sender: str) -> tuple[bytes, ...]:
    """The hashes of an address in each form in which addresses are compared."""
    return tuple(keyed_hash(secret, form(sender)) for form in _FORMS)


def form_of(secret: bytes, hashes: tuple[bytes, ...], recipient: str) -> str | None:
    """The recipient's address in the strictest form in which it is that of the hashes; None where it is in none."""
    for form, wanted in zip(_FORMS, hashes, strict=True):
        if hmac.compare_digest(keyed_hash(secret, form(recipient)), wanted):
            return form(recipient)
    return None


def keyed_hash(secret: bytes, *parts: str) -> bytes:
    """What stands for these parts where they are not to be kept; without the secret nobody can try guesses."""
    return hmac.digest(secret, "\0".join(parts).encode("utf-8", "surrogateescape"), "sha256")[:HASH_BYTES]
