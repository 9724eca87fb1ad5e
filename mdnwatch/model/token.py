"""Tokens that prove who held a message: what `mdnwatch stamp` puts into Message-ID, ENVID and return address."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum

from mdnwatch.model.address import canonical, decode_xtext, split
from mdnwatch.model.report import FeedbackReport, Mdn, Report

# Lower-case base32 (RFC 4648 §6) survives whatever is done to local parts. With "+" and 27 characters before it, a
# token fits in the 64 octets of a local part (RFC 5321 §4.5.3.1.1).
KEY_ID_LENGTH = 4  # characters
NONCE_BYTES = 10
MAC_BYTES = 10  # 80 bits, for a secret that is tried online, one mail at a time
_IDENTITY_LENGTH = KEY_ID_LENGTH + NONCE_BYTES * 8 // 5
TOKEN_LENGTH = _IDENTITY_LENGTH + MAC_BYTES * 8 // 5
MAX_LOCAL_PART = 64  # octets

_TOKEN = re.compile(rf"(?<![a-z0-9])[a-z2-7]{{{TOKEN_LENGTH}}}(?![a-z0-9])")

# Key id -> secret.
Keyring = Mapping[str, bytes]
NO_KEYS: Keyring = {}


class Spot(StrEnum):
    """Where a token stands. Each has a token of its own: who has seen one cannot make the others."""

    MESSAGE_ID = "message-id"
    ENVELOPE_ID = "envelope-id"
    RETURN_ADDRESS = "return-address"


class Proof(StrEnum):
    """What the tokens of a report prove of a recipient about whom it tells."""

    NONE = "none"
    OWN = "own"  # whoever made the report held the copy of this one recipient
    SHARED = "shared"  # whoever made it held some copy
    OTHER = "other"  # its token was made for another recipient of the message
    WRONG = "wrong"  # it bears what looks like a token of ours, and is none


def base32(data: bytes) -> str:
    """Lower-case base32 of bytes of which no padding is left over."""
    return base64.b32encode(data).decode("ascii").lower()


def identity(key_id: str, nonce: bytes) -> str:
    """What the tokens of one stamp have in common, by which it is known: key id and nonce."""
    return key_id + base32(nonce)


def make(identity: str, spot: Spot, secret: bytes) -> str:
    """The token of a stamp for a spot: its identity, and a MAC over that and the spot."""
    mac = hmac.new(secret, f"mdnwatch token\0{spot.value}\0{identity}".encode(), hashlib.sha256)
    return identity + base32(mac.digest()[:MAC_BYTES])


def token_key(identity: str) -> str:
    """The key under which the message of a stamp is found."""
    return f"t:{identity}"


def genuine(report: Report, keys: Keyring) -> tuple[str, ...]:
    """The identities of the tokens of ours that a report bears, each once."""
    found = ((token[:_IDENTITY_LENGTH], is_genuine) for token, is_genuine in _judged(report, keys))
    return tuple(dict.fromkeys(known for known, is_genuine in found if is_genuine))


def bears_wrong(report: Report, keys: Keyring) -> bool:
    """Whether a report bears a token that names a key of ours, and was not made with it for where it stands."""
    return not all(is_genuine for _, is_genuine in _judged(report, keys))


def _judged(report: Report, keys: Keyring) -> Iterator[tuple[str, bool]]:
    if not keys:
        return
    for spot, text in _spots(report):
        for token in _TOKEN.findall(text.lower()):
            secret = keys.get(token[:KEY_ID_LENGTH])
            # What names no key of ours is somebody else's.
            if secret is not None:
                yield token, hmac.compare_digest(token, make(token[:_IDENTITY_LENGTH], spot, secret))


def _spots(report: Report) -> Iterator[tuple[Spot, str]]:
    """Where tokens of ours may stand in a report, and what stands there."""
    if report.original_envelope_id:
        envelope_id = decode_xtext(report.original_envelope_id)
        # Haraka puts the Message-ID there (haraka-HKrej).
        yield (Spot.MESSAGE_ID if "@" in envelope_id else Spot.ENVELOPE_ID), envelope_id
    for message_id in _message_ids(report):
        yield Spot.MESSAGE_ID, message_id
    for address in _return_addresses(report):
        yield Spot.RETURN_ADDRESS, split(address)[0]


def _message_ids(report: Report) -> tuple[str, ...]:
    """The ids by which a report names the one message that it is about."""
    named: tuple[str | None, ...] = ()
    if isinstance(report, Mdn):
        named = report.original_message_ids or (report.original_message_id,)
    elif isinstance(report, FeedbackReport):
        named = (report.original_message_id,)
    returned = report.returned.message_id if report.returned else None
    found = tuple(one for one in (*named, returned) if one)
    return found or report.head.in_reply_to


def _return_addresses(report: Report) -> Iterator[str]:
    """The addresses to which a report went, and the return addresses that it says the message had."""
    yield from report.head.to_addresses
    yield from report.head.delivered_to
    if report.returned is not None and report.returned.return_path:
        yield report.returned.return_path
    if isinstance(report, FeedbackReport) and report.original_mail_from:
        yield report.original_mail_from


def proof(made_for: Collection[str | None], recipient: str, *, addressed: bool) -> Proof:
    """What genuine tokens prove of a recipient; `made_for` are theirs, None for one that all recipients got.

    Somebody to whom a copy was passed on, and who was never addressed, bears the token of another honestly.
    """
    wanted = canonical(recipient)
    theirs = {None if one is None else canonical(one) for one in made_for}
    if theirs - {None, wanted}:
        return Proof.OTHER if addressed else Proof.NONE
    if wanted in theirs:
        return Proof.OWN
    return Proof.SHARED if theirs else Proof.NONE
