"""Sink `log`: one JSON line per event, the same object as a webhook's body, in a file that logrotate may move."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, field_validator

from mdnwatch.model.notification import Outcome, Outgoing, Verdict
from mdnwatch.problems import quoted
from mdnwatch.sinks.base import MAX_CONCURRENCY, SinkSettings
from mdnwatch.sinks.log_file import LogFile

KIND = "log"

# Events that wait for one sync of the disk together.
DEFAULT_LINES_AT_ONCE = 64

_WAYS_OUT: Mapping[int, str] = MappingProxyType(
    {
        errno.ENOSPC: "the disk is full: make room",
        errno.EDQUOT: "the disk quota is used up: make room",
        errno.EFBIG: "the file may not become larger (ulimit -f): rotate it",
        errno.ENOENT: "its directory does not exist: create it, writable for mdnwatch",
        errno.ENOTDIR: "what should be its directory is a file: name another path",
        errno.EISDIR: "it is a directory: name a file in it",
        errno.EACCES: "mdnwatch may not write there: give the directory to its user, or name another path",
        errno.EPERM: "mdnwatch may not write there: give the file to its user, or name another path",
        errno.EROFS: "it is read-only here: under systemd only directories that the unit names can be written",
        errno.EAGAIN: "another process is writing to it, or moving it, at this moment",
    }
)


class StatusLogSettings(SinkSettings):
    """One `[[sinks]]` table of kind "log"."""

    kind: Literal["log"] = "log"
    path: Annotated[
        Path,
        Field(
            description="The file: JSON lines are added at its end; logrotate may move it at any time.",
            examples=["/var/log/mdnwatch/events.jsonl"],
        ),
    ]
    concurrency: Annotated[
        int, Field(ge=1, le=MAX_CONCURRENCY, description="Events written at once, each of another recipient.")
    ] = DEFAULT_LINES_AT_ONCE

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        if not path.is_absolute():
            raise ValueError(f"{quoted(str(path))} depends on where mdnwatch is started: write the path from / on")
        return path


class StatusLog:
    """The sink. Events that come while others are written share the next write and its sync."""

    def __init__(self, settings: StatusLogSettings) -> None:
        self.settings = settings
        self.identity = hashlib.sha256(os.fsencode(settings.path)).hexdigest()[:32]
        self._file = LogFile(settings.path)
        self._waiting: list[tuple[Outgoing, asyncio.Future[Outcome]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def send(self, notification: Outgoing) -> Outcome:
        """Write one line; it is on the disk when this says "delivered"."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((notification, outcome))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name=f"status log {self.settings.name}")
        seconds = self.settings.timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                return await outcome
        except TimeoutError:
            return Outcome(Verdict.UNAVAILABLE, f"{self.settings.path} was not written within {seconds:g} s")

    async def close(self) -> None:
        """Let go of the file, once what is being written is written."""
        if self._writer is not None:
            await asyncio.wait([self._writer], timeout=self.settings.timeout.total_seconds())
        if self._writer is None or self._writer.done():
            await asyncio.to_thread(self._file.close)

    async def _write(self) -> None:
        while self._waiting:
            # Who has stopped waiting comes again.
            batch = [(event, outcome) for event, outcome in self._waiting if not outcome.done()]
            self._waiting = []
            try:
                told = await self._append({event.event_id: event.body + b"\n" for event, _ in batch})
            except Exception as error:  # noqa: BLE001 - a defect is told by those who wait, and never keeps them waiting
                for _, outcome in batch:
                    if not outcome.done():
                        outcome.set_exception(error)
                continue
            for _, outcome in batch:
                if not outcome.done():
                    outcome.set_result(told)

    async def _append(self, lines: Mapping[str, bytes]) -> Outcome:
        try:
            await asyncio.to_thread(self._file.append, lines)
        except OSError as error:
            words = _WAYS_OUT.get(error.errno or 0) or error.strerror or type(error).__name__
            return Outcome(Verdict.UNAVAILABLE, f"{self.settings.path}: {words}")
        return Outcome(Verdict.DELIVERED, "")


def build(settings: StatusLogSettings, *, now: Callable[[], datetime]) -> StatusLog:  # noqa: ARG001 - events bear their time
    """The sink; the file is opened when there is something to write."""
    return StatusLog(settings)


SETTINGS = StatusLogSettings
