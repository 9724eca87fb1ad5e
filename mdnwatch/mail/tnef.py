"""Read receipts in Outlook's own form: a TNEF attachment, "winmail.dat" (MS-OXTNEF, properties of MS-OXPROPS)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from mdnwatch.mail.charset import decode
from mdnwatch.mail.head import read_head
from mdnwatch.mail.mdn import parse_disposition
from mdnwatch.mail.message_ids import message_id
from mdnwatch.mail.mime import Message, Part, walk
from mdnwatch.model.report import Mdn, Returned

_TYPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
# A receipt is a few properties, 1 to 4 KiB; TNEF that is larger carries a message with attachments.
MAX_TNEF = 64 * 1024  # bytes, as encoded
# The class of the message is among the first attributes.
MAX_BEFORE_CLASS = 2048  # bytes, as encoded
# A receipt has some 30 properties.
MAX_PROPERTIES = 500

# MS-OXTNEF §2.1.3.1: the signature and a key begin the stream.
_SIGNATURE = 0x223E9F78
_STREAM_HEADER = struct.Struct("<IH")
# Level, identifier and length of an attribute; a checksum of two bytes follows its data.
_ATTRIBUTE = struct.Struct("<BII")
_CHECKSUM = 2
_MESSAGE_CLASS = 0x00078008
_MESSAGE_PROPERTIES = 0x00069003

# MS-OXCDATA §2.11.1: types of a fixed size, here with the padding to four bytes (MS-OXTNEF §2.1.3.4).
_FIXED: Mapping[int, int] = MappingProxyType(
    {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
)
_TEXT, _UNICODE, _TIME = 0x1E, 0x1F, 0x40
_VARIABLE = frozenset({0x0D, _TEXT, _UNICODE, 0x0102})
_MULTIPLE = 0x1000
_NAMED = 0x8000
_NAMED_BY_STRING = 1
_GUID = 16  # bytes

# MS-OXPROPS: the tags of which a receipt is made.
_PROPERTY_CLASS = 0x001A
_REPORT_TIME = 0x0032
_ORIGINAL_SUBJECT = 0x0049
_ORIGINAL_SUBMIT_TIME = 0x004E
_DISPOSITION_MODE = 0x0081
_ORIGINAL_MESSAGE_ID = 0x1046

# MS-OXCMSG §2.2: the class of a receipt is that of the message with REPORT before it and this behind it. Outlook 2003
# still writes the name that Microsoft Mail had (outlook-tnef-displayed).
_DISPOSITION_OF_CLASS: Mapping[str, str] = MappingProxyType(
    {"ipnrn": "displayed", "ipnnrn": "deleted", "microsoft mail.read receipt": "displayed"}
)

_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_TICKS_PER_MICROSECOND = 10


class _Tnef(NamedTuple):
    message_class: str
    texts: Mapping[int, str]
    times: Mapping[int, datetime]


def read_tnef_receipt(message: Message) -> Mdn | None:
    """The receipt that a message is by its TNEF part; None where it has none, or TNEF of another class.

    The report names no recipient: it belongs to the only one, if the message had only one.
    """
    part = _part(message)
    if part is None or _is_of_other_class(part.content(MAX_BEFORE_CLASS)):
        return None
    content = part.content(MAX_TNEF)
    found = _read(content)
    kind = _disposition(found.message_class or found.texts.get(_PROPERTY_CLASS, ""))
    if kind is None:
        return None
    original = message_id(found.texts.get(_ORIGINAL_MESSAGE_ID))
    reported = found.times.get(_REPORT_TIME)
    return Mdn(
        head=read_head(message.header),
        format="tnef",
        report_part=content,
        returned=_returned(found),
        defects=(*dict.fromkeys(message.defects), "no-final-recipient"),
        disposition=parse_disposition(f"{found.texts.get(_DISPOSITION_MODE, '')};{kind}"),
        original_message_id=original,
        original_message_ids=(original,) if original else (),
        extensions=(("PidTagReportTime", reported.isoformat()),) if reported else (),
    )


def _part(message: Message) -> Part | None:
    root = message.root
    if root.media_type in _TYPES:
        return root
    return next((part for part in walk(root) if part.media_type in _TYPES), None) if root.parts else None


def _is_of_other_class(beginning: bytes) -> bool:
    """Whether the beginning of a stream says that it is no receipt: nearly all TNEF is not."""
    found = next((value for attribute, value in _attributes(beginning) if attribute == _MESSAGE_CLASS), None)
    return found is not None and _disposition(found.decode("latin-1")) is None


def _disposition(message_class: str) -> str | None:
    name = message_class.strip("\0 ").lower()
    if name.startswith("report."):
        return _DISPOSITION_OF_CLASS.get(name.rpartition(".")[2])
    return _DISPOSITION_OF_CLASS.get(name.removeprefix("ipm."))


def _returned(found: _Tnef) -> Returned | None:
    subject, sent = found.texts.get(_ORIGINAL_SUBJECT), found.times.get(_ORIGINAL_SUBMIT_TIME)
    if subject is None and sent is None:
        return None
    return Returned(media_type="application/ms-tnef", subject=subject, date=sent)


def _read(data: bytes) -> _Tnef:
    """What a stream holds, as far as it can be read."""
    message_class = ""
    texts: dict[int, str] = {}
    times: dict[int, datetime] = {}
    for attribute, value in _attributes(data):
        if attribute == _MESSAGE_CLASS:
            message_class = value.decode("latin-1")
        elif attribute == _MESSAGE_PROPERTIES:
            for tag, kind, raw in _properties(value):
                if kind != _TIME:
                    texts[tag] = _text(kind, raw)
                elif (time := _time(raw)) is not None:
                    times[tag] = time
    return _Tnef(message_class, texts, times)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    if len(data) < _STREAM_HEADER.size or _STREAM_HEADER.unpack_from(data)[0] != _SIGNATURE:
        return
    position = _STREAM_HEADER.size
    while position + _ATTRIBUTE.size <= len(data):
        _level, attribute, length = _ATTRIBUTE.unpack_from(data, position)
        start = position + _ATTRIBUTE.size
        yield attribute, data[start : start + length]
        position = start + length + _CHECKSUM


def _properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The texts and times among the properties: tag, type and value. What cannot be read ends them."""
    reader = _Reader(data)
    try:
        for _ in range(min(reader.number(), MAX_PROPERTIES)):
            kind, tag = reader.halves()
            if tag >= _NAMED:
                reader.name()
            base = kind & ~_MULTIPLE
            variable = base in _VARIABLE
            for _ in range(min(reader.number(), MAX_PROPERTIES) if variable or kind & _MULTIPLE else 1):
                value = reader.sized() if variable else reader.take(_FIXED[base])
                if base in {_TEXT, _UNICODE, _TIME}:
                    yield tag, base, value
    except (struct.error, KeyError):
        # The end of the data, or a type that does not exist.
        return


class _Reader:
    """Reads numbers and values one after the other; raises struct.error at the end of the data."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def number(self) -> int:
        (found,) = struct.unpack("<I", self.take(4))
        return int(found)

    def halves(self) -> tuple[int, int]:
        first, second = struct.unpack("<HH", self.take(4))
        return first, second

    def take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._data):
            raise struct.error("no more data")
        found = self._data[self._position : end]
        self._position = end
        return found

    def sized(self) -> bytes:
        """A value with its length before it, padded to four bytes."""
        size = self.number()
        found = self.take(size)
        self._position += -size % 4
        return found

    def name(self) -> None:
        """Pass over the name of a named property (MS-OXTNEF §2.1.3.4)."""
        self.take(_GUID)
        if self.number() == _NAMED_BY_STRING:
            self.sized()
        else:
            self.take(4)


def _text(kind: int, raw: bytes) -> str:
    text = raw.decode("utf-16-le", "replace") if kind == _UNICODE else decode(raw.rstrip(b"\0"))
    return text.partition("\0")[0]


def _time(raw: bytes) -> datetime | None:
    """MS-DTYP §2.3.3: 100 nanoseconds since 1601."""
    (ticks,) = struct.unpack("<q", raw)
    try:
        return _EPOCH + timedelta(microseconds=ticks // _TICKS_PER_MICROSECOND)
    except OverflowError:
        return None
