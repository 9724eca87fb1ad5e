"""Bytes to text by charset label (RFC 2045 §6, RFC 2978); the only module that knows flanker."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TextIO, cast

# Longer values are not worth the milliseconds that a guess takes for each KiB.
GUESSED_BYTES = 2048

# Labels as found in mail, without punctuation, to Python's codecs. Only these are ever looked up: Python has
# codecs that are no charsets (punycode is quadratic), and it remembers for ever each name it did not find.
# Charsets that have grown are read by their superset: gb2312 is in truth gbk or gb18030, shift_jis is cp932.
_NAMED: Mapping[str, str] = MappingProxyType(
    {
        "big5": "big5hkscs",
        "big5hkscs": "big5hkscs",
        "cp850": "cp850",
        "cp866": "cp866",
        "cp932": "cp932",
        "cp936": "gb18030",
        "cp949": "cp949",
        "eucjp": "euc_jp",
        "euckr": "cp949",
        "gb18030": "gb18030",
        "gb2312": "gb18030",
        "gbk": "gb18030",
        "hzgb2312": "hz",
        "ibm850": "cp850",
        "ibm866": "cp866",
        "iso2022jp": "iso2022_jp_ext",
        "iso2022kr": "iso2022_kr",
        "iso88598i": "iso8859_8",
        "koi8r": "koi8_r",
        "koi8u": "koi8_u",
        "ksc56011987": "cp949",
        "latin1": "cp1252",
        "latin9": "iso8859_15",
        "macintosh": "mac_roman",
        "shiftjis": "cp932",
        "sjis": "cp932",
        "tis620": "cp874",
        "unicode11utf7": "utf_7",
        "usascii": "utf_8",
        "ascii": "utf_8",
        "ansix341968": "utf_8",
        "utf16": "utf_16",
        "utf16be": "utf_16_be",
        "utf16le": "utf_16_le",
        "utf32": "utf_32",
        "utf7": "utf_7",
        "utf8": "utf_8",
        "windows874": "cp874",
        "windows936": "gb18030",
        "windows949": "cp949",
        "xgbk": "gb18030",
        "xsjis": "cp932",
        "xeucjp": "euc_jp",
        "xmacroman": "mac_roman",
    }
)
_UTF_8 = frozenset({"utf-8", "UTF-8"})
# A language of Western Europe in windows-1252: the accented letters that those share, and the signs of print, one
# or two together among ASCII. In other scripts whole words lie beyond ASCII.
_LETTERS = rb"\xc0-\xcf\xd1-\xd6\xd8-\xdc\xdf-\xef\xf1-\xf6\xf8-\xfc"
_SIGNS = rb"\x80\x84\x85\x91-\x97\xa0\xa1\xa9-\xab\xae\xb0\xb4\xbb\xbf"
_LOOKS_WESTERN = re.compile(rb"[\x00-\x7f]*+(?:[%b%b]{1,2}+(?:[\x00-\x7f]++|\Z))++" % (_LETTERS, _SIGNS))
_PUNCTUATION = re.compile(r"[^a-z0-9]+")
_ISO_8859 = re.compile(r"(?:iso)?8859(1[0-13-6]|[1-9])")
_WINDOWS = re.compile(r"(?:windows|cp|xcp|win)(125[0-8])")


def codec(label: str) -> str | None:
    """Python's name of the codec for a charset label, None for a label that is not known."""
    # RFC 2231 §5: a language may follow the charset of an encoded word.
    name = _PUNCTUATION.sub("", label.partition("*")[0].lower())
    if name in _NAMED:
        return _NAMED[name]
    if match := _ISO_8859.fullmatch(name):
        # Mail labelled iso-8859-1 holds the printable characters of windows-1252 in the place of C1 controls.
        return "cp1252" if match[1] == "1" else f"iso8859_{match[1]}"
    match = _WINDOWS.fullmatch(name)
    return f"cp{match[1]}" if match else None


def decode(raw: bytes, label: str | None = None) -> str:
    """The text of the bytes: by their label, else as UTF-8, else as the charset they look like; never raises."""
    if label in _UTF_8:
        label = None
    name = codec(label) if label else None
    for candidate in (name, "utf_8") if name else ("utf_8",):
        try:
            return raw.decode(candidate)
        except UnicodeDecodeError:
            continue
    if name == "cp1252":
        return raw.decode("latin-1")
    return _guess(raw)


def _guess(raw: bytes) -> str:
    """The text of bytes that are neither UTF-8 nor what their label says."""
    if _LOOKS_WESTERN.fullmatch(raw):
        # Nearly all that is guessed is of this kind, and what flanker guesses with takes 35 MiB for good.
        return raw.decode("cp1252")
    if len(raw) > GUESSED_BYTES:
        return raw.decode("latin-1")
    to_unicode, decoding_error = _flanker()
    try:
        text = to_unicode(raw)
    except decoding_error:
        return raw.decode("latin-1")
    # Control characters in it mean that the guess was wrong.
    return text if text.isprintable() else raw.decode("latin-1")


class _Nowhere:
    """Where text goes that nobody is to see."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


def _flanker() -> tuple[Callable[[bytes], str], type[Exception]]:
    """The decoder of flanker and its error; imported when first needed, since that takes 260 ms and 21 MiB."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(cast("TextIO", _Nowhere())):
        # flanker imports imghdr and cgi, which warn of their own end, and its address parser reports to stderr.
        warnings.simplefilter("ignore", DeprecationWarning)
        from flanker.mime.message.errors import DecodingError  # noqa: PLC0415 - see above
        from flanker.mime.message.utils import to_unicode  # noqa: PLC0415 - see above
    return to_unicode, DecodingError
