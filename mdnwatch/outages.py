"""Accounts that cannot be read, told once each, and once when they are back: `source.down` and `source.up`."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from mdnwatch.errors import CommitFailed
from mdnwatch.model.event import Event, source_event
from mdnwatch.model.event_type import EventType
from mdnwatch.model.outage import Outage, Trouble, failed, is_due, is_over, next_look
from mdnwatch.store.outage_queries import forget_outages, load_outages, save_outage
from mdnwatch.store.sqlite import Store

# After a failed write.
PAUSE_SECONDS = 1.0
# A clock that is set does not make an outage wait for longer than this.
LONGEST_REST_SECONDS = 10.0

# Keeps an event and queues it for the sinks.
Announce = Callable[[sqlite3.Connection, Event, datetime], None]


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def error(self, event: str, **fields: object) -> object:
        """One line that a person has to look at."""


class Outages:
    """The outages of all accounts; sources report to it without waiting, `run` writes and tells."""

    def __init__(  # noqa: PLR0913 - what the wiring hands over
        self,
        store: Store,
        *,
        grace: Callable[[], timedelta],
        announce: Announce,
        told: Callable[[], None],
        now: Callable[[], datetime],
        log: Log,
    ) -> None:
        """`grace` is how long an outage lasts before it is told. `told` is called when something was queued."""
        self._store = store
        self._grace = grace
        self._announce = announce
        self._told = told
        self._now = now
        self._log = log
        self._outages: dict[str, Outage] = {}
        self._gone: set[str] = set()  # accounts whose outages are still kept, and no longer theirs
        self._wake = asyncio.Event()

    async def load(self, accounts: Iterable[str]) -> None:
        """Go on with the outages that an earlier process has told; those of accounts that are gone are forgotten."""
        for outage in await self._store.read(load_outages):
            self._outages[outage.account] = outage
        self.keep_only(accounts)

    def keep_only(self, accounts: Iterable[str]) -> None:
        """Forget the outages of accounts that are no longer watched: nobody knows how they go on."""
        for account in set(self._outages) - set(accounts):
            del self._outages[account]
            self._gone.add(account)
            self._wake.set()

    def down(self, account: str, trouble: Trouble) -> None:
        """The account cannot be read, or not as the configuration says."""
        self._outages[account] = failed(self._outages.get(account), account, trouble, self._now())
        self._wake.set()

    def up(self, account: str) -> None:
        """The account is read."""
        outage = self._outages.get(account)
        if outage is not None and outage.back_since is None:
            self._outages[account] = replace(outage, back_since=self._now())
            self._wake.set()

    async def run(self) -> None:
        """Tell what is to be told, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._tell()
            except (CommitFailed, sqlite3.OperationalError) as error:
                self._log.error("outages cannot be written", error=str(error))
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            await self._rest()

    async def _rest(self) -> None:
        now, grace = self._now(), self._grace()
        looks = [look for outage in self._outages.values() if (look := next_look(outage, grace)) is not None]
        seconds = min([(look - now).total_seconds() for look in looks], default=None)
        try:
            async with asyncio.timeout(None if seconds is None else min(max(seconds, 0.0), LONGEST_REST_SECONDS)):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _tell(self) -> None:
        now, grace = self._now(), self._grace()
        due = [outage for outage in self._outages.values() if is_due(outage, grace, now)]
        over = [outage for outage in self._outages.values() if is_over(outage, grace, now)]
        announced = [replace(outage, announced=True) for outage in due]
        ended = [outage for outage in over if outage.announced]
        gone = frozenset(self._gone)
        if announced or ended or gone:
            await self._store.run(lambda db: self._write(db, gone, announced, ended, now))
        if announced or ended:
            self._told()
        self._gone -= gone
        self._settle(due, over, now)

    def _settle(self, due: list[Outage], over: list[Outage], now: datetime) -> None:
        """What was written becomes true in memory, too; what was reported meanwhile stays."""
        for outage in due:
            if (current := self._outages.get(outage.account)) is not None:
                self._outages[outage.account] = replace(current, announced=True)
        for outage in over:
            current = self._outages.get(outage.account)
            if current is outage:
                del self._outages[outage.account]
            elif current is not None:
                # It failed again, and may even be back again: an outage of its own.
                new = failed(None, outage.account, current.trouble, now)
                self._outages[outage.account] = replace(new, back_since=current.back_since)

    def _write(
        self, db: sqlite3.Connection, gone: frozenset[str], due: list[Outage], over: list[Outage], now: datetime
    ) -> None:
        forget_outages(db, gone)
        for outage in due:
            save_outage(db, outage)
            self._announce(db, source_event(EventType.SOURCE_DOWN, outage, now), now)
        forget_outages(db, [outage.account for outage in over])
        for outage in over:
            self._announce(db, source_event(EventType.SOURCE_UP, outage, now), now)
