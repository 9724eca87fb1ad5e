"""The day on which an absence notice says that somebody will be back, or until when he is away, where it is plain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType

# A notice says it in its first lines.
MAX_TEXT = 4096  # characters
# Nobody is away for longer; a date farther off is about something else.
MAX_ABSENCE = timedelta(days=2 * 366)
# The clock of the responder may be a time zone ahead.
MAX_BEFORE = timedelta(days=1)
# The last month that can be a month in a date written as numbers.
_MONTHS_IN_YEAR = 12

_NAMES = (
    "january|jan|januar|jänner|janvier|enero|gennaio|januari|janeiro",
    "february|feb|februar|février|fevrier|febrero|febbraio|februari|fevereiro",
    "march|mar|märz|maerz|mars|marzo|maart|março|marco",
    "april|apr|avril|abril|aprile",
    "may|mai|mayo|maggio|mei|maio",
    "june|jun|juni|juin|junio|giugno|junho",
    "july|jul|juli|juillet|julio|luglio|julho",
    "august|aug|août|aout|agosto|augustus",
    "september|sep|sept|septembre|septiembre|settembre|setembro",
    "october|oct|oktober|octobre|octubre|ottobre|outubro",
    "november|nov|novembre|noviembre|novembro",
    "december|dec|dezember|décembre|decembre|diciembre|dicembre|dezembro",
)
_MONTHS: Mapping[str, int] = MappingProxyType(
    {name: number for number, names in enumerate(_NAMES, start=1) for name in names.split("|")}
)
_MONTH = "(?:" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\b\.?"
# What stands before the day: how long, or when back.
_LEAD = (
    r"(?:\buntil|\btill?\b|\bthrough|\bback (?:in (?:the )?office )?(?:on|from)?"
    r"|\breturn(?:ing)?(?: to (?:the )?office)?(?: on)?"
    r"|\bbis(?: einschlie(?:ß|ss)lich| inkl(?:\.|usive)?)?(?: zum)?|\b(?:wieder )?(?:ab|am)(?: dem)?|\bzurück am"
    r"|\bjusqu.au|\bde retour le|\bretour le|\bhasta el|\bregreso el|\bvuelvo el"
    r"|\bfino al|\brientro il|\baté (?:o dia |ao dia |a )?|\btot(?: en met)?|\bterug op"
    r"|\benddate=)"
)
_WEEKDAY = r"(?:[a-zà-ÿ]{3,10}(?:-feira)?\.?,?[ \t]{1,2})?"
_DAY = r"(\d{1,2})(?:st|nd|rd|th|\.|er|º)?"
_DATE = re.compile(
    rf"{_LEAD}[ \t]{{0,3}}(?:the |el |le |il )?{_WEEKDAY}(?:"
    rf"(?P<iso>\d{{4}}-\d{{2}}-\d{{2}})(?!\d)"
    rf"|(?P<dotted>\d{{1,2}}\.[ \t]?\d{{1,2}}\.[ \t]?(?:\d{{4}}|\d{{2}}))(?!\d)"
    rf"|(?P<slashed>\d{{1,2}}/\d{{1,2}}/\d{{4}})(?!\d)"
    rf"|(?P<day>{_DAY}[ \t]{{1,2}}(?:of |de )?{_MONTH}(?:,?[ \t]{{1,2}}(?:de )?\d{{4}})?)(?!\w)"
    rf"|(?P<month>{_MONTH}[ \t]{{1,2}}{_DAY}(?:,?[ \t]{{1,2}}\d{{4}})?)(?!\w)"
    r")",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+", re.ASCII)
_WORD = re.compile(r"[^\W\d_]{3,}")
_FULL_YEAR = 1000


def find_return_date(text: str, sent_at: datetime | None) -> date | None:
    """The one date that the text names so; None where it names none, several, or one that can be read in two ways.

    `sent_at` is when the notice was sent, aware UTC: a day without a year is the next one after it.
    """
    if sent_at is None:
        return None
    # What is quoted is the message that was answered.
    text = text.partition("\n>")[0][:MAX_TEXT]
    sent = sent_at.date()
    found = {day for day in _dates(text, sent) if sent - MAX_BEFORE <= day <= sent + MAX_ABSENCE}
    return found.pop() if len(found) == 1 else None


def _dates(text: str, sent: date) -> Iterator[date]:
    for match in _DATE.finditer(text):
        kind = match.lastgroup or ""
        numbers = [int(number) for number in _NUMBER.findall(match[kind])]
        try:
            day = _date(kind, match[kind], numbers, sent)
        except ValueError:
            # The 31st of a month that has none.
            continue
        if day is not None:
            yield day


def _date(kind: str, text: str, numbers: list[int], sent: date) -> date | None:
    if kind == "iso":
        return date(numbers[0], numbers[1], numbers[2])
    if kind == "dotted":
        return date(_year(numbers[2]), numbers[1], numbers[0])
    if kind == "slashed":
        return _slashed(numbers)
    month = next((_MONTHS[word.lower()] for word in _WORD.findall(text) if word.lower() in _MONTHS), None)
    if month is None:
        return None
    if len(numbers) > 1:
        return date(numbers[1], month, numbers[0])
    this_year = date(sent.year, month, numbers[0])
    return this_year if this_year >= sent - MAX_BEFORE else date(sent.year + 1, month, numbers[0])


def _year(number: int) -> int:
    return number if number >= _FULL_YEAR else 2000 + number


def _slashed(numbers: list[int]) -> date | None:
    """Day and month in either order: plain only where one of them is no month, or both are the same."""
    first, second, year = numbers
    if first > _MONTHS_IN_YEAR:
        return date(year, second, first)
    if second > _MONTHS_IN_YEAR or first == second:
        return date(year, first, second)
    return None
