"""Media type and parameters of a Content-Type field (RFC 2045 §5.1, RFC 2231)."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable

from mdnwatch.mail.comments import strip_comments

# Blanks may stand around the slash: some gateways write them.
_MEDIA_TYPE = re.compile(r"\s*([^\s;/()\"]+)\s*/\s*([^\s;/()\"]+)")
# Leniency: a missing semicolon between parameters, a missing closing quote.
_PARAMETER = re.compile(r'[;\s]([^\s=;"]++)\s*=\s*(?:"((?:[^"\\]|\\.)*+)"?|([^\s;]*))', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_SECTION = re.compile(r"([^*]+)\*(\d{1,3})?(\*)?")


def media_type(content_type: str) -> str:
    """Type and subtype in lower case, "" where there is none."""
    match = _MEDIA_TYPE.match(content_type)
    return f"{match[1]}/{match[2]}".lower() if match else ""


def parameters(content_type: str) -> dict[str, str]:
    """The parameters by lower-case name; of several with one name, the first."""
    if "(" in content_type:
        content_type = strip_comments(content_type)
    found: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(content_type):
        found.setdefault(name.lower(), _unquote(quoted) if quoted else plain)
    if "*" in content_type:
        found.update({name: value for name, value in _extended(found.items()).items() if name not in found})
    return found


def _unquote(text: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", text) if "\\" in text else text


def _extended(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """RFC 2231 §3 and §4: values in numbered sections, percent-encoded where the name ends in "*"."""
    sections: dict[str, list[tuple[int, bool, str]]] = {}
    for name, value in items:
        match = _SECTION.fullmatch(name)
        if match:
            encoded = match[3] is not None or match[2] is None
            sections.setdefault(match[1], []).append((int(match[2] or 0), encoded, value))
    return {name: "".join(_section(*section) for section in sorted(found)) for name, found in sections.items()}


def _section(number: int, encoded: bool, value: str) -> str:  # noqa: FBT001 - unpacked from a tuple
    if not encoded:
        return value
    # RFC 2231 §4: the first section begins with charset'language'.
    if number == 0 and value.count("'") >= 2:  # noqa: PLR2004 - both delimiters
        value = value.split("'", 2)[2]
    return urllib.parse.unquote(value)
