"""A block of header fields (RFC 5322 §2.2), read from bytes."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from itertools import islice

from mdnwatch.mail.charset import decode

# A list of 10,000 addressees takes less; what comes after it in a larger header is not read.
MAX_HEADER = 1024 * 1024  # bytes
# Mail that has crossed many hosts has a hundred. A field costs some 250 bytes of memory however short it is.
MAX_FIELDS = 5000

# RFC 5322 §2.2: printable US-ASCII except colon, a colon (§4.5.8: blanks before it are obsolete syntax), the body
# with its folded lines. A line that is no field is skipped: the fields after it are still read.
_FIELD = re.compile(r"^([!-9;-~]++)[ \t]*+:(.*+(?:\n[ \t].*+)*+)", re.MULTILINE)
_FOLD = re.compile(r"\n[ \t]+")
_FIELD_START = re.compile(rb"[!-9;-~]++[ \t]*+:")


class Header:
    """The fields of a header whose line ends are LF, names as sent.

    Names are looked up in lower case; where a field stands several times, the topmost counts. Encoded words are
    left as they are. Bytes that are no UTF-8 are made text only in the fields that somebody asks for.
    """

    __slots__ = ("_clean", "_fields", "_first")

    def __init__(self, block: bytes) -> None:
        text, self._clean = to_text(block[:MAX_HEADER])
        self._fields: list[tuple[str, str]]
        if len(text) > MAX_FIELDS and text.count("\n") > MAX_FIELDS:
            self._fields = [(match[1], match[2]) for match in islice(_FIELD.finditer(text), MAX_FIELDS)]
        else:
            self._fields = _FIELD.findall(text)
        self._first = {name.lower(): body for name, body in reversed(self._fields)}

    def __contains__(self, name: str) -> bool:
        return name in self._first

    def __bool__(self) -> bool:
        return bool(self._first)

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether a field of any of these names is there."""
        return not self._first.keys().isdisjoint(names)

    def present(self, names: AbstractSet[str]) -> set[str]:
        """Which of these names have a field."""
        return self._first.keys() & names

    def get(self, name: str) -> str | None:
        """The body of a field, unfolded, without surrounding blanks; None where there is no such field."""
        body = self._first.get(name)
        if body is None:
            return None
        if not self._clean:
            body = self._first[name] = repaired(body)
        return _FOLD.sub(" ", body).strip() if "\n" in body else body.strip()

    def all(self, name: str) -> tuple[str, ...]:
        """The bodies of all fields of a name, topmost first."""
        if name not in self._first:
            return ()
        return tuple([unfold(body) for other, body in self.fields() if other.lower() == name])

    def fields(self) -> list[tuple[str, str]]:
        """All fields in their order, names as sent and bodies as text, still folded."""
        return self._fields if self._clean else [(name, repaired(body)) for name, body in self._fields]


def unfold(body: str) -> str:
    """A field body on one line, each fold as one blank (RFC 5322 §2.2.3), without surrounding blanks."""
    return _FOLD.sub(" ", body).strip() if "\n" in body else body.strip()


def to_text(block: bytes) -> tuple[str, bool]:
    """The block as text, and whether all of it is UTF-8 (RFC 6532); if not, its values are to be `repaired`.

    So that bytes in one field which are no UTF-8 change no other field.
    """
    try:
        return block.decode(), True
    except UnicodeDecodeError:
        return block.decode("utf-8", "surrogateescape"), False


def repaired(value: str) -> str:
    """A value of a block that is not UTF-8 as a whole, by the charset it seems to have itself."""
    return value if value.isascii() else decode(value.encode("utf-8", "surrogateescape"))


def starts_with_field(data: bytes, start: int, end: int) -> bool:
    """Whether a field begins at `start`."""
    return _FIELD_START.match(data, start, end) is not None
