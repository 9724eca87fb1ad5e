"""The certification data of Italian certified mail: daticert.xml (RFC 6109), without DTD and entities."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.parsers import expat

# A message to all recipients that a provider allows takes some 100 KiB.
MAX_DATICERT = 512 * 1024  # bytes
# As many as common limits on recipients of a message allow.
MAX_ADDRESSES = 2000

_ADDRESSES = frozenset({"destinatari", "consegna", "ricezione"})
_TEXTS = frozenset({"mittente", "oggetto", "gestore-emittente", "msgid", "errore-esteso", "giorno", "ora"})
_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)
_HOUR = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})", re.ASCII)
_ZONE = re.compile(r"([+-])(\d{2})(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Daticert:
    """What the certification data say. `errore` is "nessuno" where there is no error; `data` is aware UTC."""

    tipo: str
    errore: str
    mittente: str | None
    oggetto: str | None
    destinatari: tuple[str, ...]
    consegna: tuple[str, ...]
    ricezione: tuple[str, ...]
    gestore_emittente: str | None
    msgid: str | None
    errore_esteso: str | None
    data: datetime | None


def read_daticert(document: bytes) -> Daticert | None:
    """The certification data; None where the document is none, or has a DTD."""
    reader = _Reader()
    try:
        reader.parse(document)
    except (expat.ExpatError, _Refused, ValueError, LookupError):
        # The last two: an encoding that expat asks Python for, and that is none.
        return None
    return reader.found()


class _Refused(Exception):
    """The document has what no certification data have."""


class _Reader:
    """Collects the texts of the elements that are known, wherever they stand."""

    __slots__ = ("_addresses", "_postacert", "_text", "_texts", "_zone")

    def __init__(self) -> None:
        self._addresses: dict[str, list[str]] = {name: [] for name in _ADDRESSES}
        self._texts: dict[str, str] = {}
        self._text: list[str] = []
        self._postacert: Mapping[str, str] | None = None
        self._zone = ""

    def parse(self, document: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        parser.ExternalEntityRefHandler = _refuse_external
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text_append
        parser.Parse(document[:MAX_DATICERT], True)  # noqa: FBT003 - expat knows no keyword here

    def found(self) -> Daticert | None:
        attributes = self._postacert
        if attributes is None:
            return None
        texts = self._texts
        return Daticert(
            tipo=attributes.get("tipo", "").lower(),
            errore=attributes.get("errore", "nessuno").lower(),
            mittente=texts.get("mittente"),
            oggetto=texts.get("oggetto"),
            destinatari=tuple(dict.fromkeys(self._addresses["destinatari"])),
            consegna=tuple(dict.fromkeys(self._addresses["consegna"])),
            ricezione=tuple(dict.fromkeys(self._addresses["ricezione"])),
            gestore_emittente=texts.get("gestore-emittente"),
            msgid=texts.get("msgid"),
            errore_esteso=texts.get("errore-esteso"),
            data=_time(texts.get("giorno", ""), texts.get("ora", ""), self._zone),
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._text = []
        if self._postacert is None:
            if name != "postacert":
                raise _Refused(name)
            self._postacert = attributes
        elif name == "data":
            self._zone = attributes.get("zona", "")

    def _text_append(self, text: str) -> None:
        self._text.append(text)

    def _end(self, name: str) -> None:
        text = "".join(self._text).strip()
        self._text = []
        if not text:
            return
        if name in _ADDRESSES and len(self._addresses[name]) < MAX_ADDRESSES:
            self._addresses[name].append(text)
        elif name in _TEXTS:
            self._texts.setdefault(name, text)


def _refuse(*_declaration: object) -> None:
    raise _Refused("a DTD")


def _refuse_external(*_reference: object) -> int:
    raise _Refused("an external entity")


def _time(giorno: str, ora: str, zona: str) -> datetime | None:
    day, hour, zone = _DAY.fullmatch(giorno), _HOUR.fullmatch(ora), _ZONE.fullmatch(zona)
    if day is None or hour is None:
        return None
    try:
        local = datetime(int(day[3]), int(day[2]), int(day[1]), int(hour[1]), int(hour[2]), int(hour[3]), tzinfo=UTC)
        if zone is None:
            return local
        offset = timedelta(hours=int(zone[2]), minutes=int(zone[3]))
        return local - offset if zone[1] == "+" else local + offset
    except (ValueError, OverflowError):
        return None
