"""Mailbox names in modified UTF-7 (RFC 3501 §5.1.3), as servers without UTF8=ACCEPT write them."""

from __future__ import annotations

import binascii
import re

_SHIFTED = re.compile(r"&([^-&]*)-")
_OTHERS = re.compile(r"[^\x20-\x7e]+|&")


def encode(name: str) -> str:
    """The name as it goes over the wire: printable ASCII."""
    return _OTHERS.sub(lambda match: _shift(match[0]), name)


def _shift(run: str) -> str:
    if run == "&":
        return "&-"
    # RFC 3501 §5.1.3: "," is used instead of "/", and there is no padding.
    base64 = binascii.b2a_base64(run.encode("utf-16-be", "surrogatepass"), newline=False).decode("ascii")
    return "&" + base64.rstrip("=").replace("/", ",") + "-"


def decode(wire: str) -> str:
    """The name for people; a sequence that encodes nothing is left as it is."""
    return _SHIFTED.sub(_unshift, wire)


def _unshift(match: re.Match[str]) -> str:
    if not match[1]:
        return "&"
    padded = match[1].replace(",", "/") + "=" * (-len(match[1]) % 4)
    try:
        return binascii.a2b_base64(padded.encode("ascii"), strict_mode=True).decode("utf-16-be")
    except (binascii.Error, UnicodeError):
        return match[0]
