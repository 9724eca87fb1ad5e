"""The MIME structure of a message (RFC 2045, RFC 2046), read from bytes in linear time.

Parts are places in the one buffer, not copies. Damage is worked around and named as a defect: line ends of any
kind, missing or wrong boundaries, parts that do not end, headers without a blank line after them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mdnwatch.mail.header import MAX_HEADER, Header, starts_with_field
from mdnwatch.mail.parameters import media_type, parameters
from mdnwatch.mail.transfer import decode_transfer, transfer_encoding, with_lf

# A report has three parts and a wrapper adds a few; more is a mail bomb or a digest, and no report.
MAX_PARTS = 1000
# A report stands two levels below a gateway's and a signer's wrapper; each level reads its bytes once more.
MAX_DEPTH = 16
# A Content-Type is read no further: boundary and report-type stand in its first lines.
MAX_CONTENT_TYPE = 4096  # bytes
# The header of a part has a handful of lines.
MAX_PART_HEADER = 16 * 1024  # bytes
# Where a wrong boundary is replaced by the one that is there, it is looked for at the beginning of the body.
MAX_PREAMBLE = 64 * 1024  # bytes

# RFC 2045 §5.1 and §6.1, without parameters and comments.
_MIME_FIELD = re.compile(
    rb"^content-(?:type[ \t]*+:\s*+([^\s;/()\"]++/[^\s;/()\"]++)|transfer-encoding[ \t]*+:\s*+([^\s;()]++))",
    re.MULTILINE | re.IGNORECASE,
)
_NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})
# RFC 2046 §5.1.1: a delimiter line is the boundary, "--" at the last, and transport padding.
_DELIMITER_REST = re.compile(rb"(--)?[ \t]*(?:\n|\Z)")
# What looks like a delimiter line with a part's header, or its blank line, after it.
_LIKELY_DELIMITER = re.compile(rb"^--(\S[^\n]{0,199})\n(?=content-[a-z-]+:|\n)", re.MULTILINE | re.IGNORECASE)
# RFC 4155: the line that separates messages in an mbox; some servers keep it.
_BEFORE_HEADER = re.compile(rb"\n*+(?:>?From [^\n]*+\n)?\n*+")


@dataclass(slots=True)
class Part:
    """A body part: its header is data[start:body], its body data[body:end]; line ends are LF.

    `media_type` and `encoding` are lower-case. `parameters` and `parts` are those of a multipart.
    """

    data: bytes = field(repr=False)
    start: int
    body: int
    end: int
    media_type: str
    encoding: str
    parameters: Mapping[str, str]
    parts: list[Part] = field(repr=False)

    def header(self) -> Header:
        """The part's own header, read anew at each call."""
        return Header(self.data[self.start : min(self.body, self.start + MAX_HEADER)])

    def content(self, limit: int) -> bytes:
        """The body without its transfer encoding; at most `limit` bytes of the encoded body are read."""
        return decode_transfer(self.data[self.body : min(self.end, self.body + limit)], self.encoding)


@dataclass(slots=True)
class Message:
    """A message: its header, read once, and its structure."""

    header: Header
    root: Part
    defects: list[str]


def read(data: bytes) -> Message:
    """The structure of a message; never raises. Line ends may be CRLF, LF, lone CR or all of them."""
    data = with_lf(data)
    start = _beginning(data, 0)
    body = _body(data, start, len(data))
    header = Header(data[start : min(body, start + MAX_HEADER)])
    if not header:
        # Text alone, without a header.
        body = start
    defects: list[str] = []
    media = media_type(header.get("content-type") or "") or "text/plain"
    encoding = header.get("content-transfer-encoding")
    root = Part(
        data, start, body, len(data), media, transfer_encoding(encoding) if encoding else "", _NO_PARAMETERS, []
    )
    if media.startswith("multipart/"):
        root.parameters = _parameters(header)
        _read_structure(root, defects)
    return Message(header, root, defects)


def read_header(data: bytes, start: int, end: int) -> Header:
    """The header that begins at `start`, after blank lines and an mbox line; line ends are LF."""
    start = _beginning(data, start)
    return Header(data[start : min(_body(data, start, end), start + MAX_HEADER)])


def walk(root: Part) -> Iterator[Part]:
    """The part and all parts below it, in document order; returned messages are not looked into."""
    pending = [root]
    while pending:
        part = pending.pop()
        yield part
        pending.extend(reversed(part.parts))


def _beginning(data: bytes, start: int) -> int:
    """Where the header begins, after blank lines and an mbox "From " line."""
    if data.startswith((b"\n", b"From ", b">From "), start):
        before = _BEFORE_HEADER.match(data, start)
        return before.end() if before else start
    return start


def _body(data: bytes, start: int, end: int) -> int:
    """Where the body begins of a part that begins at `start`."""
    if data.startswith(b"\n", start, end):
        return start + 1
    blank = data.find(b"\n\n", start, end)
    return end if blank < 0 else blank + 2


def _child(data: bytes, start: int, end: int, default: str) -> Part:
    # RFC 2045 §5.2: what is missing or cannot be read is taken as the default.
    media, encoding = default, ""
    if data.startswith(b"\n", start, end):
        return Part(data, start, start + 1, end, media, encoding, _NO_PARAMETERS, [])
    blank = data.find(b"\n\n", start, end)
    body = end if blank < 0 else blank + 2
    found = _MIME_FIELD.findall(data, start, min(body, start + MAX_PART_HEADER))
    for type_, mechanism in reversed(found):
        if type_:
            media = type_.decode("utf-8", "replace").lower()
        else:
            encoding = mechanism.decode("utf-8", "replace").lower()
    if not found and not starts_with_field(data, start, end):
        # A part without header, and without the blank line that RFC 2046 §5.1 asks for.
        body = start
    found_parameters = _NO_PARAMETERS
    if media.startswith("multipart/"):
        found_parameters = _parameters(Header(data[start : min(body, start + MAX_PART_HEADER)]))
    return Part(data, start, body, end, media, encoding, found_parameters, [])


def _parameters(header: Header) -> Mapping[str, str]:
    return parameters((header.get("content-type") or "")[:MAX_CONTENT_TYPE])


def _read_structure(root: Part, defects: list[str]) -> None:
    pending = [(root, 1)]
    budget = MAX_PARTS
    while pending and budget > 0:
        part, depth = pending.pop()
        # RFC 2046 §5.1.5
        default = "message/rfc822" if part.media_type == "multipart/digest" else "text/plain"
        part.parts = [_child(part.data, start, end, default) for start, end in _ranges(part, budget, defects)]
        inner = [child for child in part.parts if child.media_type.startswith("multipart/")]
        if inner and depth >= MAX_DEPTH:
            defects.append("nested-too-deep")
        else:
            pending.extend((child, depth + 1) for child in reversed(inner))
        budget -= len(part.parts)
    if budget <= 0:
        defects.append("too-many-parts")


def _ranges(part: Part, budget: int, defects: list[str]) -> list[tuple[int, int]]:
    """Where the parts of a multipart begin and end, at most `budget` of them."""
    boundary = part.parameters.get("boundary", "").rstrip().encode("utf-8", "replace")
    ranges = _split(part, boundary, budget, defects) if boundary else []
    if ranges:
        return ranges
    defects.append("boundary-not-found" if boundary else "no-boundary")
    likely = _LIKELY_DELIMITER.search(part.data, part.body, min(part.end, part.body + MAX_PREAMBLE))
    return _split(part, likely[1].rstrip(), budget, defects) if likely else []


def _split(part: Part, boundary: bytes, budget: int, defects: list[str]) -> list[tuple[int, int]]:
    data, end = part.data, part.end
    delimiter = b"\n--" + boundary
    ranges: list[tuple[int, int]] = []
    start = -1  # where the part begins whose end is looked for
    # The line end of the first delimiter may be that of the blank line after the header.
    found = data.find(delimiter, part.body - 1, end)
    while found >= 0 and len(ranges) < budget:
        rest = _DELIMITER_REST.match(data, found + len(delimiter), end)
        if rest is None:
            # The boundary of an inner multipart may begin with this one.
            found = data.find(delimiter, found + len(delimiter), end)
            continue
        if start >= 0:
            ranges.append((start, max(found, start)))
        start = rest.end()
        if rest[1]:
            return ranges
        found = data.find(delimiter, start - 1, end)
    if 0 <= start < end and len(ranges) < budget:
        # RFC 2046 §5.1.2: a part that is cut off reaches to the end of what there is.
        defects.append("no-closing-boundary")
        ranges.append((start, end))
    return ranges
