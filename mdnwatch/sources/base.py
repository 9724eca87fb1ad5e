"""What every source is given, what it offers, and how it tells of its health."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from mdnwatch.errors import Cause, CommitFailed, SourceError, SourceRefused
from mdnwatch.model.outage import Trouble
from mdnwatch.model.received import Batch, Handled, Mark, Role, Wanted
from mdnwatch.sources.logins import Logins

T = TypeVar("T")

# The watchdog hears of a waiting source this often: well within the 30 seconds that it grants.
BEAT_SECONDS = 10.0

# The first pause after a failure, and the longest one: an absent server is asked again within five minutes.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0

# RFC 3464 gives MTAs days to report; a month covers what may still be reported when the watch begins.
SENT_ON_FIRST_RUN = timedelta(days=30)

# A batch is one unit of work in the store: long enough to share a sync, short enough to be soon done.
BATCH_MESSAGES = 100
BATCH_BYTES = 8 * 1024**2

# Longer headers are cut: what identifies a message stands in the first lines.
HEADER_BYTES = 64 * 1024


class Log(Protocol):
    """The part of a structlog logger that sources use."""

    def debug(self, event: str, **values: object) -> object:
        """For the one who looks for a fault."""

    def info(self, event: str, **values: object) -> object:
        """What happened."""

    def warning(self, event: str, **values: object) -> object:
        """What a person should look at."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a source needs of the program around it.

    `handle` stores a batch and raises CommitFailed when nothing of it was stored. `load_mark` and `load_names`
    take (account, folder). `now` gives aware UTC. `wanted` says from a header, and as much of the body as is there
    already, how much of the message is needed. `beat` tells the watchdog that the source's task is alive; it is
    called at least every 30 seconds.
    `down` says, as often as it is found, that the account cannot be read or not as it should; `up` that it is.
    `logins` is shared by all accounts of the process. Tokens are kept below `state_dir`.
    """

    handle: Callable[[Batch], Awaitable[Handled]]
    load_mark: Callable[[str, str], Awaitable[Mark | None]]
    load_names: Callable[[str, str], Awaitable[frozenset[str]]]
    now: Callable[[], datetime]
    log: Log
    wanted: Callable[[bytes, bytes], Wanted]
    beat: Callable[[], None]
    down: Callable[[Trouble], None]
    up: Callable[[], None]
    logins: Logins
    state_dir: Path


class SourceState(StrEnum):
    """Whether the source is being read."""

    STARTING = "starting"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Backfill:
    """What is left of reading a folder's old mail: messages, of how many when this connection began with it.

    `seconds_left` is at the rate since then; None while nothing can be said yet.
    """

    left: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class FolderHealth:
    """The proof of life of one folder.

    `name` is the folder's, or what the configuration asks for while it is not found. `last_agreement` is when
    the server last said that it has nothing beyond what was handled (aware UTC). `note` is "" or a sentence.
    """

    name: str
    role: Role
    found: bool
    note: str = ""
    last_agreement: datetime | None = None
    mark: Mark | None = None
    backfill: Backfill | None = None


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source is doing; times are aware UTC.

    `cause` says in words a person can act on why it is down ("" otherwise). `since` is when `state` began.
    `sent` says where copies of sent mail are found, or that no such folder was found.
    """

    name: str
    kind: str
    state: SourceState
    cause: str
    since: datetime
    last_answer: datetime | None
    sent: str
    folders: tuple[FolderHealth, ...]


class Source(Protocol):
    """One account that is watched."""

    name: str

    async def run(self) -> None:
        """Watch until cancelled; only a defect of the program makes it raise."""

    def health(self) -> SourceHealth:
        """How it is doing at this moment."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check-config --connect` found: whether the source can be read, and what to say, a sentence a line.

    `refused`: not without a change by a person, such as another password.
    """

    ok: bool
    lines: tuple[str, ...]
    refused: bool = False


class Verdict(StrEnum):
    """How a thing that `mdnwatch doctor` looked at is."""

    GOOD = "good"
    NOTE = "note"  # it works, and yet somebody should know
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What `mdnwatch doctor` found out about one thing; `way_out` says what to do, where something can be done."""

    about: str
    verdict: Verdict
    text: str
    way_out: str = ""

    @classmethod
    def good(cls, about: str, text: str) -> Finding:
        """It is as it should be."""
        return cls(about, Verdict.GOOD, text)

    @classmethod
    def note(cls, about: str, text: str, way_out: str = "") -> Finding:
        """It works, and yet somebody should know."""
        return cls(about, Verdict.NOTE, text, way_out)

    @classmethod
    def wrong(cls, about: str, text: str, way_out: str) -> Finding:
        """It does not work."""
        return cls(about, Verdict.WRONG, text, way_out)


def trouble_of(error: SourceError | CommitFailed) -> Trouble:
    """What an error means for the account."""
    if isinstance(error, CommitFailed):
        return Trouble(Cause.NOT_STORED, str(error))
    return Trouble(error.cause, str(error), lasting=isinstance(error, SourceRefused))


def header_of(data: bytes) -> bytes:
    """The header of a message, with the empty line that ends it; all of it where no such line is seen."""
    ends = [at + len(end) for end in (b"\r\n\r\n", b"\n\n") if (at := data.find(end)) >= 0]
    return data[: min(ends)] if ends else data


def jittered_pause(failures: int) -> float:
    """Seconds to wait after the n-th failure in a row (from 1): full jitter, so that no crowd comes back at once."""
    ceiling = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16))
    return random.uniform(0, ceiling)  # noqa: S311 - spreads load, guards nothing


async def beating(work: Coroutine[None, None, T], beat: Callable[[], None]) -> T:
    """Wait for work that has a deadline of its own, telling the watchdog that this is no standstill."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            beat()
            await asyncio.wait([task], timeout=BEAT_SECONDS)
    finally:
        task.cancel()
    beat()
    return task.result()


async def pause(seconds: float, beat: Callable[[], None]) -> None:
    """Sleep, telling the watchdog that this is no standstill."""
    beat()
    while seconds > 0:
        await asyncio.sleep(min(seconds, BEAT_SECONDS))
        beat()
        seconds -= BEAT_SECONDS
