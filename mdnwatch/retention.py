"""What is kept for how long: sweeps over indexed tables, now and then."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from mdnwatch.erasure import Erased, UnderWay, erase_message, quiet_unit
from mdnwatch.model.stored import to_ms
from mdnwatch.store import erase_queries, event_queries, reply_queries, report_queries
from mdnwatch.sweeps import Log, Writer, run_every
from mdnwatch.unit import Rules

SWEEP_INTERVAL = timedelta(hours=1)

# Old messages, or events, of one unit of work: others get their turn in between.
ROWS_PER_UNIT = 50
# Of one sweep; the next one goes on.
UNITS_PER_SWEEP = 200


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

    @property
    def keep(self) -> timedelta | None:
        """How long after sending a message is kept; None: for ever."""
        ...


async def run(store: Writer, limits: Callable[[], Limits], now: Callable[[], datetime], log: Log) -> None:
    """Sweep at the start and every hour until cancelled; `limits` is asked anew for each sweep."""

    async def sweep() -> None:
        at, allowed = now(), limits()
        dropped = await store.run(lambda db: _sweep(db, allowed, at))
        if dropped:
            log.info("waiting reports dropped", reports=dropped)
        if allowed.keep is not None:
            await _erase_old(store, at - allowed.keep, at, log)

    await run_every(SWEEP_INTERVAL, sweep, now, log)


def _sweep(db: sqlite3.Connection, limits: Limits, now: datetime) -> int:
    event_queries.forget_rates(db, now)
    for account in reply_queries.accounts(db):
        reply_queries.drop_oldest(db, account, limits.max_waiting, now - limits.reply_wait)
    oldest = now - limits.wait_for_sent
    accounts = report_queries.accounts_with_waiting(db)
    return sum(report_queries.drop_oldest_waiting(db, account, limits.max_waiting, oldest) for account in accounts)


async def _erase_old(store: Writer, before: datetime, now: datetime, log: Log) -> None:
    """Erase what was sent, or told of no message, before a time: some after the other, up to a bound."""
    messages = await _in_units(store, lambda db: _erase_some(db, before, now))
    events = await _in_units(store, lambda db: erase_queries.forget_told(db, to_ms(before) or 0, ROWS_PER_UNIT))
    if messages or events:
        log.info("old messages erased", messages=messages, other_events=events)


async def _in_units(store: Writer, work: Callable[[sqlite3.Connection], int]) -> int:
    """Do a unit of work until it finds too little for another one; how much it found in all."""
    total = 0
    for _ in range(UNITS_PER_SWEEP):
        found = await store.run(work)
        total += found
        if found < ROWS_PER_UNIT:
            break
    return total


def _erase_some(db: sqlite3.Connection, before: datetime, now: datetime) -> int:
    """One unit of work: how many messages were erased. What is being delivered is left for the next sweep."""
    unit, erased = quiet_unit(db, Rules(), now), Erased()
    with contextlib.suppress(UnderWay):
        for number in erase_queries.old_messages(db, to_ms(before) or 0, ROWS_PER_UNIT):
            erase_message(unit, number, erased)
    return erased.messages
