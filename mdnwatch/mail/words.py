"""Encoded words of header fields (RFC 2047)."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from mdnwatch.mail.charset import decode
from mdnwatch.mail.transfer import base64_bytes

# RFC 2047 §2, but blanks may stand in the encoded text: several senders leave them there.
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")


def decode_words(text: str) -> str:
    """The text with its encoded words decoded; what is no encoded word stays as it is."""
    if "=?" not in text:
        return text
    words = _WORD.findall(text)
    if len(words) == 1:
        label, encoding, encoded = words[0]
        before, _, after = text.partition(f"=?{label}?{encoding}?{encoded}?=")
        return before + decode(_word_bytes(encoding, encoded), label) + after
    return "".join(_pieces(text))


def _pieces(text: str) -> Iterator[str]:
    end = 0
    label, raw = "", bytearray()
    for word in _WORD.finditer(text):
        between = text[end : word.start()]
        # RFC 2047 §6.2: white space between two encoded words is not shown. A character may be cut in two between
        # words of one charset, although §5 forbids it: their bytes are joined before they are decoded.
        adjacent = end > 0 and not between.strip()
        if raw and not (adjacent and word[1].lower() == label):
            yield decode(bytes(raw), label)
            raw.clear()
        if not adjacent:
            yield between
        label = word[1].lower()
        raw += _word_bytes(word[2], word[3])
        end = word.end()
    if raw:
        yield decode(bytes(raw), label)
    yield text[end:]


def _word_bytes(encoding: str, encoded: str) -> bytes:
    raw = encoded.encode("utf-8", "replace")
    if encoding in "bB":
        return base64_bytes(raw)
    # RFC 2047 §4.2: "_" is a blank whatever the charset.
    return binascii.a2b_qp(raw, header=True)
