"""IMAP responses as values (RFC 9051 §7, §9): FETCH, LIST, SEARCH, STATUS and response codes; pure."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from mdnwatch.sources import utf7
from mdnwatch.sources.imap_framing import ProtocolError, Response

# Names of months are English whatever the locale (RFC 9051 §9, date-month).
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# A name with a section may hold blanks and quotes: BODY[HEADER.FIELDS ("To")]<0>.
# Leniency: Courier-IMAP 5.0 quotes the names inside the section.
_TOKEN = re.compile(
    rb'[ ]*(?:(?P<bracket>[()])|"(?P<quoted>(?:[^"\\]|\\.)*)"'
    rb'|(?P<atom>[A-Za-z0-9.]+\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\](?:<\d+>)?|[^\s()"]+))',
    re.DOTALL,
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
# What nearly every server answers to what is asked here, in whatever order; the rest is read token by token.
_PLAIN_FETCH = re.compile(
    rb"\* \d+ FETCH \((?:UID (?P<uid>\d{1,10}) ?|RFC822\.SIZE (?P<size>\d{1,18}) ?"
    rb'|INTERNALDATE "(?P<date>[^"\\]{26})" ?|BODY\[(?:HEADER)?\](?:<0>)? (?P<literal>\{\d+\}))+\Z'
)
_SECTION = re.compile(rb"BODY\[([^\]]*)\](?:<\d+>)?")

# A literal may hold anything, but no command can name such a mailbox.
_UNSENDABLE = re.compile(rb"[\0\r\n]")
_ANNOUNCEMENT = re.compile(rb"~?\{\d+\+?\}\Z")
_CODE = re.compile(r"\[([A-Za-z0-9-]+)(?: ([^\]]*))?\]\s*")
_INTERNALDATE = re.compile(rb" ?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")

_PARTS_WITH_ONE_LITERAL = 3

# RFC 9051 §9: numbers have 63 bits at most; so many digits fit into them, and into the database.
MAX_DIGITS = 18


class Token(NamedTuple):
    """One token: a bracket, an atom, or a string (quoted or literal)."""

    kind: str  # "(", ")", "atom", "string"
    value: bytes

    @property
    def text(self) -> bytes | None:
        """What an nstring holds; None for NIL."""
        return None if self.kind == "atom" and self.value.upper() == b"NIL" else self.value


@dataclass(frozen=True, slots=True)
class Fetched:
    """What FETCH said of one message; None where it did not say. `data` is the BODY section that was asked for."""

    uid: int | None
    size: int | None = None
    received_at: datetime | None = None
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One mailbox of LIST. `wire` is its name as the server wrote it, `name` for people; attributes lower-case."""

    wire: str
    name: str
    delimiter: str
    attributes: frozenset[str]

    @property
    def selectable(self) -> bool:
        """Whether it can hold messages (RFC 9051 §7.3.1)."""
        return not self.attributes & {"\\noselect", "\\nonexistent"}


def tokens(response: Response) -> Iterator[Token]:
    """The tokens of a response, literals included. Raises ProtocolError at what is no token."""
    for index, part in enumerate(response):
        if index % 2:
            yield Token("string", part)
        else:
            text = _ANNOUNCEMENT.sub(b"", part) if index + 1 < len(response) else part
            yield from _tokens_of_line(text)


def _tokens_of_line(text: bytes) -> Iterator[Token]:
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise ProtocolError("the server sent a response that cannot be read")
        position = match.end()
        if match.lastgroup == "atom":
            yield Token("atom", match["atom"])
        elif match.lastgroup == "quoted":
            yield Token("string", _QUOTED_PAIR.sub(rb"\1", match["quoted"]))
        else:
            yield Token(match["bracket"].decode("ascii"), b"")


def fetched(response: Response) -> Fetched:
    """A `* n FETCH (…)` response. Items that were not asked for are passed over. Raises ProtocolError."""
    plain = _PLAIN_FETCH.match(response[0])
    if plain is None or not plain["literal"] or len(response) != _PARTS_WITH_ONE_LITERAL or response[2] != b")":
        return _fetched_by_tokens(response)
    uid, size, date = plain.group("uid", "size", "date")
    return Fetched(
        int(uid) if uid else None, int(size) if size else None, internal_date(date) if date else None, response[1]
    )


def sections(response: Response) -> dict[str, bytes]:
    """The BODY[…] sections of a FETCH response, by what stands in the brackets, in upper case."""
    found = ((_SECTION.fullmatch(name), value) for name, value in _fetch_items(response).items())
    return {match[1].decode("ascii", "replace"): value for match, value in found if match and value is not None}


def _fetch_items(response: Response) -> dict[bytes, bytes | None]:
    stream = tokens(response)
    for _ in range(3):
        next(stream, None)
    if (opening := next(stream, None)) is None or opening.kind != "(":
        raise ProtocolError("the server sent a FETCH response without items")
    return dict(_items(stream))


def _fetched_by_tokens(response: Response) -> Fetched:
    items = _fetch_items(response)
    uid, size = items.get(b"UID"), items.get(b"RFC822.SIZE")
    date = items.get(b"INTERNALDATE")
    return Fetched(
        uid=_number(uid) if uid is not None else None,
        size=_number(size) if size is not None else None,
        received_at=internal_date(date) if date is not None else None,
        data=next((value for name, value in items.items() if name.startswith(b"BODY[")), None),
    )


def _items(stream: Iterator[Token]) -> Iterator[tuple[bytes, bytes | None]]:
    for name in stream:
        if name.kind == ")":
            return
        value = next(stream, None)
        if name.kind != "atom" or value is None or value.kind == ")":
            break
        if value.kind == "(":
            _skip_list(stream)
        else:
            yield name.value.upper(), value.text
    raise ProtocolError("the server sent a FETCH response with unpaired items")


def _skip_list(stream: Iterator[Token]) -> None:
    depth = 1
    while depth:
        token = next(stream, None)
        if token is None:
            raise ProtocolError("the server sent a list that does not end")
        depth += {"(": 1, ")": -1}.get(token.kind, 0)


def is_number(text: str | bytes) -> bool:
    """Whether it is a number that IMAP allows."""
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS


def _number(text: bytes) -> int:
    if not is_number(text):
        raise ProtocolError("the server sent a number that is none")
    return int(text)


def internal_date(text: bytes) -> datetime | None:
    """An INTERNALDATE as aware UTC; None where it is no date (RFC 9051 §9, date-time)."""
    match = _INTERNALDATE.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    try:
        number = _MONTHS.index(month.decode("ascii").title()) + 1
        # A leap second has no place in a datetime.
        local = datetime(int(year), number, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC)
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return local + offset if sign == b"-" else local - offset
    except (ValueError, OverflowError):
        return None


def search_date(time: datetime) -> str:
    """A date as SEARCH takes it; it has no zone, so give it a day of room (RFC 9051 §6.4.4)."""
    return f"{time.day}-{_MONTHS[time.month - 1]}-{time.year}"


def searched(response: Response) -> array[int]:
    """The numbers of a `* SEARCH 2 84 882` response, as they stand; a (MODSEQ …) at its end is passed over."""
    numbers = response[0].partition(b"(")[0].split()[2:]
    return array("Q", map(_number, numbers))


def listed(response: Response) -> Listed | None:
    r"""A `* LIST (\Attribute) "/" name` response; None for one that names no mailbox. Raises ProtocolError."""
    stream = tokens(response)
    for _ in range(2):
        next(stream, None)
    if (opening := next(stream, None)) is None or opening.kind != "(":
        return None
    attributes = []
    for token in stream:
        if token.kind == ")":
            break
        attributes.append(token.value.decode("ascii", "replace").lower())
    delimiter, name = next(stream, None), next(stream, None)
    if delimiter is None or name is None or not name.value or _UNSENDABLE.search(name.value):
        return None
    # Names ought to be modified UTF-7; whatever else a server has is sent back to it byte by byte.
    wire = name.value.decode("utf-8", "surrogateescape")
    return Listed(wire, utf7.decode(wire), (delimiter.text or b"").decode("ascii", "replace"), frozenset(attributes))


def identity(response: Response) -> Iterator[tuple[str, str]]:
    """The pairs of a `* ID ("name" "Dovecot")` response (RFC 2971 §3.3), names in lower case; none for NIL."""
    values = [token.value.decode("utf-8", "replace") for token in tokens(response) if token.kind == "string"]
    return zip((name.lower() for name in values[::2]), values[1::2], strict=False)


def code(text: str) -> tuple[str, str]:
    """The response code at the start of a status text, upper-case, and its argument; ("", "") without one."""
    match = _CODE.match(text)
    return (match[1].upper(), match[2] or "") if match else ("", "")


def words(text: str) -> str:
    """A status text without its code: what the server has to say to people."""
    return _CODE.sub("", text, count=1).strip()


def quoted(text: str) -> str:
    r"""A string as the server reads it: only `"` and `\` are escaped (RFC 9051 §9, quoted)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
