"""A report that is too large to be fetched whole: its report part is, and of other parts the beginnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mdnwatch.sources.base import HEADER_BYTES
from mdnwatch.sources.imap_client import Client, CommandRefused
from mdnwatch.sources.imap_structure import Outline

# Reports have three parts, and wrappers add a few.
MAX_PARTS = 20

# Of a part's own header, and of text and returned messages, whose first lines say what is needed of them.
MIME_BYTES = 16 * 1024
BEGINNING_BYTES = 64 * 1024

# RFC 8098, RFC 3464, RFC 5965 and, for the global types, RFC 6533.
_REPORT_TYPES = frozenset(
    {
        "message/disposition-notification",
        "message/global-disposition-notification",
        "message/delivery-status",
        "message/global-delivery-status",
        "message/feedback-report",
    }
)


async def read_by_parts(client: Client, uid: int, limit: int) -> bytes | None:
    """The message with its report parts, cut at `limit` bytes each, and the beginning of every other part.

    None where it holds no report part, or the server cannot tell its structure. Raises SourceError.
    """
    try:
        root = await client.structure(uid)
        if root is None or not _is_worth_it(root):
            return None
        sections = await client.sections(uid, list(_items(root, limit)))
    except CommandRefused:
        return None
    header = sections.get("HEADER")
    return None if header is None else header + b"".join(_body(root, sections))


def _is_worth_it(root: Outline) -> bool:
    leaves = list(root.leaves())
    return len(leaves) <= MAX_PARTS and any(part.media_type in _REPORT_TYPES for part in leaves)


def _items(root: Outline, limit: int) -> Iterator[str]:
    yield f"BODY.PEEK[HEADER]<0.{HEADER_BYTES}>"
    for part in _below(root):
        yield f"BODY.PEEK[{part.section}.MIME]<0.{MIME_BYTES}>"
        if not part.parts:
            size = limit if part.media_type in _REPORT_TYPES else BEGINNING_BYTES
            yield f"BODY.PEEK[{part.section}]<0.{size}>"


def _below(part: Outline) -> Iterator[Outline]:
    for child in part.parts:
        yield child
        yield from _below(child)


def _body(part: Outline, sections: Mapping[str, bytes]) -> Iterator[bytes]:
    """The body of a multipart, put together again (RFC 2046 §5.1.1)."""
    boundary = part.boundary.encode("utf-8", "surrogateescape")
    for child in part.parts:
        yield b"\r\n--" + boundary + b"\r\n" + sections.get(f"{child.section}.MIME", b"\r\n")
        if child.parts:
            yield from _body(child, sections)
        else:
            yield sections.get(child.section, b"")
    yield b"\r\n--" + boundary + b"--\r\n"
