"""What `mdnwatch log` does: choose events of the status log, and show them to people or hand them to programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

from pydantic import TypeAdapter, ValidationError

from mdnwatch.config import Config
from mdnwatch.errors import MdnwatchError
from mdnwatch.event_lines import printer
from mdnwatch.event_words import time_of, when, words_of
from mdnwatch.model.authenticity import Grade
from mdnwatch.model.event_type import EventType
from mdnwatch.model.state import SUMMARY
from mdnwatch.problems import did_you_mean, not_one_of, quoted
from mdnwatch.settings import Duration
from mdnwatch.sinks.log import StatusLogSettings
from mdnwatch.tail import follow, lines_of

Event = Mapping[str, Any]
Place = tuple[str, ...]
Write = Callable[[bytes, Event], None]

# Short names and what they stand for: the first place of an event about a recipient, then those of other events.
SHORT: Mapping[str, tuple[Place, ...]] = MappingProxyType(
    {
        "summary": (("data", "recipient", "summary"),),
        "recipient": (("data", "recipient", "address"), ("data", "recipient")),
        "message": (("data", "message", "message_id"), ("data", "message_id"), ("data", "candidates", "message_id")),
        "type": (("type",),),
        "account": (("data", "message", "account"), ("data", "account")),
        "grade": (("data", "authenticity", "grade"),),
    }
)

# Where only certain words make sense, another one is a mistake and not "no events".
VOCABULARY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "summary": (*(value.name.lower() for value in SUMMARY), "unknown"),
        "type": tuple(EventType),
        "grade": tuple(Grade),
    }
)

# What a dotted key may begin with; below it an event may have whatever a report had.
_TABLES = ("data", "message", "recipient", "evidence", "correlation", "authenticity", "candidates")
_SINGLE = ("timestamp", "id", "sequence", "report_id", "kind", "folder", "reason", "since", "sink", "source")


class WrongQuestion(ValueError):
    """A `--since` or `--where` that cannot be understood; the text says what can."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One `--where`: some value at one of the places matches."""

    places: tuple[Place, ...]
    pattern: re.Pattern[str]

    def holds(self, event: Event) -> bool:
        """Whether an event fulfils it."""
        values = (value for place in self.places for value in _values(event, place))
        return any(self.pattern.fullmatch(value) for value in values)


@dataclass(frozen=True, slots=True)
class Question:
    """Which events are wanted: all that came at `since` (aware) or later and fulfil every condition."""

    since: datetime | None = None
    where: tuple[Condition, ...] = ()

    def wants(self, event: Event) -> bool:
        """Whether an event is asked for."""
        if self.since is not None:
            time = time_of(event)
            if time is None or time < self.since:
                return False
        return all(condition.holds(event) for condition in self.where)


def question(since: str | None, where: Sequence[str], now: datetime) -> Question:
    """What the options ask for; `now` is aware. Raises WrongQuestion."""
    return Question(None if since is None else moment(since.strip(), now), tuple(map(_condition, where)))


def moment(text: str, now: datetime) -> datetime:
    """A time in the past, written as how long ago it was or as a date; `now` is aware. Raises WrongQuestion."""
    try:
        at = now - TypeAdapter(Duration).validate_python(text)
    except (ValidationError, OverflowError):
        try:
            at = datetime.fromisoformat(text).astimezone()
        except (ValueError, OverflowError):
            help_text = 'write how long ago ("90s", "30min", "2h", "3d") or when ("2026-11-23", "2026-11-23T14:30")'
            raise WrongQuestion(f"{quoted(text)} is no time: {help_text}") from None
    if at > now:
        raise WrongQuestion(f"{quoted(text)} lies in the future: nothing has happened since")
    return at


def _condition(text: str) -> Condition:
    key, equals, wanted = text.partition("=")
    key, wanted = key.strip(), wanted.strip()
    if not equals or not key or not wanted:
        raise WrongQuestion(f"{quoted(text)} is no condition: write KEY=VALUE, as in summary=failed")
    places = SHORT.get(key) or _dotted(key)
    pattern = _pattern(wanted)
    known = VOCABULARY.get(key)
    if known and not any(pattern.fullmatch(word) for word in known):
        raise WrongQuestion(f"{key}: {not_one_of(wanted, known)}")
    return Condition(places, pattern)


def _dotted(key: str) -> tuple[Place, ...]:
    steps = tuple(key.split("."))
    if key in _TABLES:
        raise WrongQuestion(f"{quoted(key)} holds several values: name one of them, as in evidence.kind=failed")
    first = steps[1] if steps[0] == "data" and len(steps) > 1 else steps[0]
    known = _TABLES if len(steps) > 1 else _SINGLE
    if first not in (*known, *_SINGLE) or not all(steps):
        names = [*SHORT, *_TABLES[1:], *_SINGLE]
        hint = did_you_mean(first, names) or f": write one of {', '.join(SHORT)}, or a path such as evidence.kind"
        raise WrongQuestion(f"{quoted(key)} is no key of an event{hint}")
    return (steps, ("data", *steps))


def _pattern(wanted: str) -> re.Pattern[str]:
    """`*` stands for anything; case does not count, nor do the brackets of a Message-ID."""
    bare = wanted[1:-1] if wanted.startswith("<") and wanted.endswith(">") else wanted
    return re.compile("<?" + ".*".join(map(re.escape, bare.split("*"))) + ">?", re.IGNORECASE | re.DOTALL)


def _values(value: object, place: Place) -> Iterator[str]:
    """Every value at a place, as text; each member of a list counts."""
    if isinstance(value, list):
        for inner in value:
            yield from _values(inner, place)
    elif place:
        if isinstance(value, Mapping) and place[0] in value:
            yield from _values(value[place[0]], place[1:])
    elif isinstance(value, bool):
        yield str(value).lower()
    elif isinstance(value, str | int | float):
        yield str(value)


def path_of(config: Config) -> Path:
    """The status log of a configuration. Raises MdnwatchError where there is none, or more than one."""
    paths = [sink.path for sink in config.sinks if isinstance(sink, StatusLogSettings)]
    if not paths:
        way_out = 'add [[sinks]] with kind = "log", name = "events" and path = "/var/log/mdnwatch/events.jsonl"'
        raise MdnwatchError(f"the configuration has no status log: {way_out}")
    if len(paths) > 1:
        raise MdnwatchError(f"the configuration has several status logs, name one: {', '.join(map(str, paths))}")
    return paths[0]


def stored_lines(path: Path) -> Iterator[bytes]:
    """The lines of a status log, as many as there are by now. Raises MdnwatchError."""
    try:
        with path.open("rb") as file:
            yield from lines_of(file)
    except OSError as error:
        raise _unreadable(path, error) from None


def followed_lines(path: Path) -> Iterator[bytes]:
    """The lines of a status log and those to come, also in the files to come. Raises MdnwatchError."""
    try:
        yield from follow(path)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> MdnwatchError:
    if isinstance(error, FileNotFoundError):
        return MdnwatchError(f"{path}: no such file: either nothing was told yet, or logrotate has moved it")
    if isinstance(error, PermissionError):
        return MdnwatchError(f"{path}: only its owner and group may read it: try again as root")
    return MdnwatchError(f"{path}: {error.strerror}")


def run(  # noqa: PLR0913 - the options of the command
    path: Path,
    wanted: Question,
    *,
    following: bool,
    as_json: bool,
    now: Callable[[], datetime],
    out: TextIO,
    err: TextIO,
) -> None:
    """Show what is wanted of a status log, until its end or, `following`, until Ctrl-C. Raises MdnwatchError."""
    if following and not path.exists():
        err.write(f"mdnwatch: waiting for {path}\n")
    lines = followed_lines(path) if following else stored_lines(path)
    write = _as_it_is(out) if as_json else _for_people(out, now, relative=not following)
    with suppress(KeyboardInterrupt):
        strange = tell(lines, wanted, write)
        if strange:
            err.write(f"mdnwatch: {strange} line(s) of {path} are no events, and were left out\n")


def _as_it_is(out: TextIO) -> Write:
    def write(line: bytes, _event: Event) -> None:
        out.buffer.write(line + b"\n")
        out.buffer.flush()

    return write


def _for_people(out: TextIO, now: Callable[[], datetime], *, relative: bool) -> Write:
    show = printer(out)

    def write(_line: bytes, event: Event) -> None:
        # On a screen that is left standing, "3 s ago" is soon wrong.
        words = words_of(event)
        show(words, when(words.at, now() if relative else None))

    return write


def tell(lines: Iterable[bytes], wanted: Question, write: Write) -> int:
    """Write each line whose event is wanted; how many lines were no events."""
    strange = 0
    for line in lines:
        event = _event(line)
        if event is None:
            strange += bool(line)
        elif wanted.wants(event):
            write(line, event)
    return strange


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("type"), str) else None
