"""Content transfer encodings undone (RFC 2045 §6), also where they are damaged."""

from __future__ import annotations

import binascii
import re

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def decode_transfer(raw: bytes, encoding: str) -> bytes:
    """The bytes behind a Content-Transfer-Encoding; an unknown encoding changes nothing."""
    if encoding == "base64":
        return base64_bytes(raw)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    return raw


def transfer_encoding(field: str) -> str:
    """The mechanism that a Content-Transfer-Encoding field names, in lower case."""
    return field.partition(";")[0].partition("(")[0].strip().lower()


def base64_bytes(raw: bytes) -> bytes:
    """What is readable of base64: foreign characters are skipped, missing padding is supplied (RFC 2045 §6.8)."""
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error:
        digits = _NOT_BASE64.sub(b"", raw)
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def with_lf(data: bytes) -> bytes:
    """The bytes with every line end (CRLF, LF, lone CR) as LF; no copy where nothing changes."""
    if b"\r" not in data:
        return data
    # Dropping every CR and counting takes two thirds of the time of replacing CRLF, and is nearly always enough.
    lf = data.replace(b"\r", b"")
    if len(data) - len(lf) == data.count(b"\r\n"):
        return lf
    del lf
    # CR CR LF is what a gateway makes of CRLF when it converts twice.
    return data.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
