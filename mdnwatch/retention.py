"""What is kept for how long: sweeps over indexed tables, now and then; the only module that knows apscheduler."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from mdnwatch.store import event_queries, reply_queries, report_queries

T = TypeVar("T")

SWEEP_INTERVAL = timedelta(hours=1)


class Writer(Protocol):
    """The part of the store that the sweeps need."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a unit of work in one transaction."""
        ...


class Log(Protocol):
    """The part of a structured logger that is needed here."""

    def info(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 - structlog's own type
        """One line."""
        ...

    def error(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 - structlog's own type
        """One line that a person has to look at."""
        ...


class Limits(Protocol):
    """The part of the configuration that the sweeps obey."""

    @property
    def wait_for_sent(self) -> timedelta:
        """How long a report may wait for its sent message."""
        ...

    @property
    def max_waiting(self) -> int:
        """How many of an account may wait."""
        ...

    @property
    def reply_wait(self) -> timedelta:
        """How long a reply may be held for its message."""
        ...


async def run(store: Writer, limits: Callable[[], Limits], now: Callable[[], datetime], log: Log) -> None:
    """Sweep at the start and every hour until cancelled. A sweep that fails is logged, and the next one is tried.

    `limits` is asked anew for each sweep.
    """

    async def sweep() -> None:
        at, allowed = now(), limits()
        dropped = await store.run(lambda db: _sweep(db, allowed, at))
        if dropped:
            log.info("waiting reports dropped", reports=dropped)

    def failed(event: JobExecutionEvent) -> None:
        log.error("sweep failed", error=f"{type(event.exception).__name__}: {event.exception}")

    # A sweep that is late is still due; several that are late are one.
    scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None})
    scheduler.add_listener(failed, EVENT_JOB_ERROR)
    scheduler.add_job(sweep, "interval", seconds=SWEEP_INTERVAL.total_seconds(), next_run_time=now())
    scheduler.start()
    try:
        await asyncio.Event().wait()
    finally:
        scheduler.shutdown(wait=False)


def _sweep(db: sqlite3.Connection, limits: Limits, now: datetime) -> int:
    event_queries.forget_rates(db, now)
    for account in reply_queries.accounts(db):
        reply_queries.drop_oldest(db, account, limits.max_waiting, now - limits.reply_wait)
    oldest = now - limits.wait_for_sent
    accounts = report_queries.accounts_with_waiting(db)
    return sum(report_queries.drop_oldest_waiting(db, account, limits.max_waiting, oldest) for account in accounts)
