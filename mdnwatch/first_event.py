"""The first event of a new configuration, for the person who has just written it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from mdnwatch import daemon, status_log
from mdnwatch.config import Config, load
from mdnwatch.dialogue import Dialogue
from mdnwatch.event_lines import printer
from mdnwatch.event_words import when, words_of
from mdnwatch.log import configure as configure_log
from mdnwatch.readiness import until_watching
from mdnwatch.tail import lines_of

LOOK_AGAIN_SECONDS = 0.2


def is_wanted(talk: Dialogue) -> bool:
    """Whether the person wants to see it now."""
    return talk.interactive and talk.confirm("Watch now, until the first event?", "--run", default=True)


async def show(path: Path, talk: Dialogue) -> None:
    """Run with the configuration at `path` until there is an event, or until Ctrl-C. Raises MdnwatchError."""
    config = load(path)
    # What a person has to look at, such as an account that went down; the rest is for those who run it for long.
    configure_log("warning", "console")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    waiting = asyncio.create_task(_wait(config, stop, talk))
    try:
        await daemon.run_until(stop, config)
    finally:
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting


async def _wait(config: Config, stop: asyncio.Event, talk: Dialogue) -> None:
    """Show what is added first to the status log, and end the watching."""
    log = status_log.path_of(config)
    try:
        await until_watching(config)
        talk.tell(
            "Watching until the first event; Ctrl-C ends it.",
            "To see one soon, write to an address that does not exist: the report of the failure is an event.",
        )
        begin = await asyncio.to_thread(lambda: log.stat().st_size if log.exists() else 0)
        while not stop.is_set():
            if events := await asyncio.to_thread(_events_from, log, begin):
                _show(events)
                return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
    finally:
        stop.set()


def _events_from(log: Path, begin: int) -> list[status_log.Event]:
    events: list[status_log.Event] = []
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(begin)
        status_log.tell(lines_of(file), status_log.Question(), lambda _line, event: events.append(event))
    return events


def _show(events: Sequence[status_log.Event]) -> None:
    line = printer(sys.stdout)
    for event in events:
        words = words_of(event)
        line(words, when(words.at, daemon.now()))
