"""The blocks of fields that a report part holds (RFC 3464 §2.1, RFC 8098 §3.1), and their typed values."""

from __future__ import annotations

import re
from collections.abc import Iterable, KeysView

from mdnwatch.mail.comments import strip_comments
from mdnwatch.mail.header import repaired, to_text, unfold
from mdnwatch.mail.transfer import with_lf
from mdnwatch.model.report import Typed

# A report on two thousand recipients takes less; the rest of a larger part is not read.
MAX_REPORT_PART = 4 * 1024 * 1024  # bytes
# A field costs some 200 bytes however short it is; two thousand recipients with ten fields each are within this.
MAX_REPORT_LINES = 20_000  # lines
# The message and its recipients; more blocks are empty ones.
MAX_BLOCKS = 4000

_LINE_OF_BLANKS = re.compile(r"^[ \t]+$", re.MULTILINE)
# Leniencies: blanks before the colon (Mimecast); a URL is no field.
_NAME = r"[A-Za-z][A-Za-z0-9_-]*+[ \t]*+:(?!//)"
_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9_-]*+)[ \t]*+:(?!//)(.*+(?:\n[ \t].*+)*+)", re.MULTILINE)
# The same, and the lines after it that begin no field.
_FIELD_AND_REST = re.compile(_FIELD.pattern + rf"((?:\n(?!{_NAME}).*+)*+)", re.MULTILINE)
# Fields of free text. Leniency: their continuation lines may stand in column 0 (nullmailer-NMrej-dsn-failed-2).
_TEXT_FIELDS = frozenset({"diagnostic-code", "localized-diagnostic", "error", "failure", "warning"})
# Gmail's API hands out the fields in a text/plain part inside the report part: its header is no block.
_MIME_FIELDS = ("content-", "mime-version")
# RFC 3464 §2.1.2: an atom stands before the semicolon. The slash is Mimecast's `rfc/822`.
_ATOM = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_USUAL_TYPES = frozenset({"rfc822", "utf-8", "dns", "smtp"})


class Block:
    """The fields of one block: `fields` holds names as sent and values still folded.

    Fields are taken out one after the other, by lower-case name; what is left over in the end are the extensions.
    """

    __slots__ = ("_kept", "_left", "_repeats", "fields")

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.fields = fields
        # Of several fields with one name the first counts.
        self._left = {name.lower(): value for name, value in reversed(fields)}
        self._repeats = len(self._left) < len(fields)
        self._kept: tuple[tuple[str, str], ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def names(self) -> KeysView[str]:
        """The names of the fields that nobody took yet, in lower case."""
        return self._left.keys()

    def repeats(self) -> bool:
        """Whether a name stands in the block more than once."""
        return self._repeats

    def get(self, name: str) -> str | None:
        """The value of a field, which stays; None where there is none."""
        value = self._left.get(name)
        return None if value is None else unfold(value)

    def take(self, name: str) -> str | None:
        """The value of a field, which is no extension then; None where there is none."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        return unfold(value) if "\n" in value else value.strip()

    def take_all(self, name: str) -> tuple[str, ...]:
        """The values of all fields of a name."""
        if self._left.pop(name, None) is None:
            return ()
        found = tuple([unfold(value) for other, value in self.fields if other.lower() == name])
        self.fields = [field for field in self.fields if field[0].lower() != name]
        return found

    def keep(self, name: str, value: str) -> None:
        """Put a value that could not be understood among the extensions."""
        self._kept += ((name, value),)

    def extensions(self) -> tuple[tuple[str, str], ...]:
        """The fields that nobody took, names as sent; further fields of a name that was taken are among them."""
        if not self._left and not self._repeats:
            return self._kept
        left: list[tuple[str, str]] = []
        taken: set[str] = set()
        for name, value in self.fields:
            key = name.lower()
            if key in self._left or key in taken:
                left.append((name, unfold(value)))
            else:
                taken.add(key)
        return (*left, *self._kept)


def joined(found: Iterable[Block]) -> Block:
    """One block of the fields of several."""
    several = list(found)
    return several[0] if len(several) == 1 else Block([field for block in several for field in block.fields])


def read_blocks(part: bytes) -> list[Block]:
    """The blocks of a decoded report part.

    RFC 3464 §2.1: they are separated by a blank line. Leniency: by several, or by lines of blanks. Blocks that hold no
    field of a report are left out.
    """
    text, clean = to_text(_bounded(with_lf(part[:MAX_REPORT_PART])))
    folded = "\n " in text or "\n\t" in text
    if folded and (" \n" in text or "\t\n" in text):
        text = _LINE_OF_BLANKS.sub("", text)
    found = [
        _fields(chunk.strip("\n"), clean=clean, folded=folded) for chunk in text.split("\n\n", MAX_BLOCKS)[:MAX_BLOCKS]
    ]
    return [Block(fields) for fields in found if fields and not _of_mime(fields)]


def is_cut(part: bytes) -> bool:
    """Whether a report part has more lines than are read."""
    return len(part) > MAX_REPORT_LINES and part.count(b"\n") > MAX_REPORT_LINES


def _bounded(part: bytes) -> bytes:
    return b"\n".join(part.split(b"\n", MAX_REPORT_LINES)[:MAX_REPORT_LINES]) if is_cut(part) else part


def _of_mime(fields: list[tuple[str, str]]) -> bool:
    return fields[0][0].lower().startswith(_MIME_FIELDS) and all(
        name.lower().startswith(_MIME_FIELDS) for name, _ in fields
    )


def _fields(chunk: str, *, clean: bool, folded: bool) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = _FIELD.findall(chunk)
    lines = len(found)
    if folded:
        lines += chunk.count("\n ") + chunk.count("\n\t")
    if lines <= chunk.count("\n"):
        # Some line belongs to no field.
        found = []
        for name, value, rest in _FIELD_AND_REST.findall(chunk):
            more = rest.replace("\n", "\n ") if rest and name.lower() in _TEXT_FIELDS else ""
            found.append((name, value + more))
    return found if clean else [(name, repaired(value)) for name, value in found]


def typed(value: str | None) -> Typed | None:
    """Type and value of a field; None where it is missing or empty.

    Leniencies: no type (Haraka's Remote-MTA, Roundcube's Original-Recipient), the type twice (Horde, KMail).
    """
    if not value:
        return None
    kind, semicolon, rest = value.partition(";")
    if not semicolon:
        return Typed(None, value)
    if kind not in _USUAL_TYPES:
        kind = strip_comments(kind)
        if _ATOM.fullmatch(kind) is None:
            return Typed(None, value)
        kind = kind.lower()
    rest = rest.strip()
    if ";" in rest and rest.partition(";")[0].strip().lower() == kind:
        rest = rest.partition(";")[2].strip()
    return Typed(kind, rest) if rest else None
