"""Dates of mail (RFC 5322 §3.3 and §4.3) as aware UTC times; what cannot be read is None."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

# A date with its comment takes half of this.
MAX_DATE = 128  # characters

_MONTHS: Mapping[str, str] = MappingProxyType(
    {
        name: f"{number:02}"
        for number, name in enumerate(
            ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
        )
    }
)
# RFC 5322 §4.3; every other name of a zone "SHOULD be considered equivalent to -0000".
_ZONES: Mapping[str, int] = MappingProxyType(
    {"EDT": -4, "EST": -5, "CDT": -5, "CST": -6, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8}
)
# RFC 5322 §3.3 as nearly all mail writes it, read with a quarter of the work.
_USUAL = re.compile(
    r"(?:[A-Z][a-z]{2}, )?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d:\d\d:\d\d) ([+-]\d{4}|GMT)(?!\d)", re.ASCII
)
_UTC: Mapping[str, str] = MappingProxyType({"GMT": "+00:00", "+0000": "+00:00", "-0000": "+00:00"})
_TIME = r"(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2}))?"
_ZONE = r"(?:[ \t]*(?P<offset>[+-]\d{4})|[ \t]+(?P<zone>[A-Za-z]{1,5}))?"
# Leniency: full names of months and hyphens between the parts of the day, as older mailers write them.
_DATE = re.compile(
    r"(?P<day>\d{1,2})[ \t-]+(?P<month>[A-Za-z]{3})[a-z]*\.?[ \t-]+(?P<year>\d{2,4})[ \t]+" + _TIME + _ZONE, re.ASCII
)
# Leniency: GNU mailutils writes `Tue, Mar 03 10:00:01 2026 UTC`.
_ASCTIME = re.compile(
    r"(?P<month>[A-Za-z]{3})[ \t]+(?P<day>\d{1,2})[ \t]+" + _TIME + r"[ \t]+(?P<year>\d{4})" + _ZONE, re.ASCII
)


def parse_date(text: str) -> datetime | None:
    """The time that a date field names, aware UTC; None where it cannot be read."""
    usual = _USUAL.match(text)
    if usual is not None:
        day, name, year, time, zone = usual.groups()
        try:
            # An unknown month makes no ISO date.
            date = datetime.fromisoformat(f"{year}-{_MONTHS.get(name)}-{day:0>2}T{time}{_UTC.get(zone, zone)}")
            return date if date.tzinfo is UTC else date.astimezone(UTC)
        except (ValueError, OverflowError):
            # A leap second, or nonsense: the patient way tells.
            pass
    return _parse_any(text[:MAX_DATE])


def _parse_any(text: str) -> datetime | None:
    match = _DATE.search(text) or _ASCTIME.search(text)
    if match is None:
        return None
    month = _MONTHS.get(match["month"].capitalize())
    if month is None:
        return None
    hour, minute = int(match["hour"]), int(match["minute"])
    # RFC 5322 §3.3 allows a leap second, which datetime does not know.
    second = min(int(match["second"] or 0), 59)
    try:
        local = datetime(_year(match["year"]), int(month), int(match["day"]), hour, minute, second, tzinfo=UTC)
        return local - _offset(match["offset"], match["zone"])
    except (ValueError, OverflowError):
        return None


def _year(text: str) -> int:
    """RFC 5322 §4.3: two digits below 50 are of this century; two and three digits else count from 1900."""
    year = int(text)
    if len(text) > 3:  # noqa: PLR2004 - digits of a full year
        return year
    return year + (2000 if len(text) == 2 and year < 50 else 1900)  # noqa: PLR2004 - the RFC's own numbers


def _offset(offset: str | None, zone: str | None) -> timedelta:
    if offset:
        distance = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
        return distance if offset[0] == "+" else -distance
    return timedelta(hours=_ZONES.get(zone.upper(), 0) if zone else 0)
