"""Work that is done now and then until the program ends; the only module that knows apscheduler."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler

T = TypeVar("T")


class Writer(Protocol):
    """The part of the store that sweeps need."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a unit of work in one transaction."""
        ...


class Log(Protocol):
    """The part of a structured logger that sweeps need."""

    def info(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 - structlog's own type
        """One line."""
        ...

    def error(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 - structlog's own type
        """One line that a person has to look at."""
        ...


async def run_every(
    interval: timedelta, sweep: Callable[[], Awaitable[None]], now: Callable[[], datetime], log: Log
) -> None:
    """Sweep at once and then every so often, until cancelled. A sweep that fails is logged, and the next one is tried.

    A sweep that takes longer than the interval is not run twice at a time.
    """

    async def sweep_until_cancelled() -> None:
        # Only the end of the scheduler cancels a sweep, and apscheduler would log that as a defect.
        with contextlib.suppress(asyncio.CancelledError):
            await sweep()

    def failed(event: JobExecutionEvent) -> None:
        log.error("sweep failed", error=f"{type(event.exception).__name__}: {event.exception}")

    # A sweep that is late is still due; several that are late are one.
    scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None})
    scheduler.add_listener(failed, EVENT_JOB_ERROR)
    scheduler.add_job(sweep_until_cancelled, "interval", seconds=interval.total_seconds(), next_run_time=now())
    scheduler.start()
    try:
        await asyncio.Event().wait()
    finally:
        scheduler.shutdown(wait=False)
