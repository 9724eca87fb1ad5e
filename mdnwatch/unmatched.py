"""Reports whose message is not known when a grace time is over: told once, and by the thousand only summarised."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mdnwatch.model.event import Event
from mdnwatch.model.event_type import EventType
from mdnwatch.model.stored import StoredReport
from mdnwatch.model.text import clean
from mdnwatch.news import tell_of_report
from mdnwatch.store import unmatched_queries
from mdnwatch.sweeps import Log, Writer, run_every
from mdnwatch.unit import Rules, Unit

SWEEP_INTERVAL = timedelta(seconds=10)

# Reports of one unit of work: others get their turn in between.
REPORTS_PER_UNIT = 200
# Of one sweep; the next one goes on.
UNITS_PER_SWEEP = 50

# What an event names of each kind at most.
MAX_NAMED = 20

# Sent folders are read so far back on the first run: older messages of ours are not known.
SENT_BEFORE_WATCH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Unmatched:
    """What the sweeps are given.

    `grace` and `rules` are asked anew for each sweep. `read_until` tells of each account until when all that arrived
    and all that was sent is handled, aware UTC: before that the message may still be found. `enqueue` queues an event
    for the sinks, `told` is called when something was queued.
    """

    store: Writer
    grace: Callable[[], timedelta]
    rules: Callable[[], Rules]
    read_until: Callable[[], Mapping[str, datetime]]
    enqueue: Callable[[sqlite3.Connection, Event, datetime], None]
    told: Callable[[], None]
    now: Callable[[], datetime]
    log: Log

    async def run(self) -> None:
        """Sweep at once and then every few seconds, until cancelled."""
        await run_every(SWEEP_INTERVAL, self.sweep, self.now, self.log)

    async def sweep(self) -> None:
        """Tell of the reports whose grace is over, up to a bound."""
        for account, read_until in self.read_until().items():
            for _ in range(UNITS_PER_SWEEP):
                looked_at, events = await self.store.run(self._work(account, read_until))
                if events:
                    self.log.info("unmatched reports told", account=account, events=[event.id for event in events])
                    self.told()
                if looked_at < REPORTS_PER_UNIT:
                    break

    def _work(self, account: str, read_until: datetime) -> Callable[[sqlite3.Connection], tuple[int, list[Event]]]:
        now, rules = self.now(), self.rules()
        seen_before = min(now - self.grace(), read_until)

        def work(db: sqlite3.Connection) -> tuple[int, list[Event]]:
            unit = Unit(db, rules, now, self.enqueue)
            return tell_due(unit, account, seen_before, REPORTS_PER_UNIT), unit.events

        return work


def tell_due(unit: Unit, account: str, seen_before: datetime, limit: int) -> int:
    """Tell of the oldest reports of an account that were first seen before a time; how many were looked at."""
    since = unmatched_queries.watched_since(unit.db, account, unit.now)
    reports = unmatched_queries.due(unit.db, account, seen_before, limit)
    for report, first_seen, about in reports:
        if not _is_older(report, since):
            _tell(unit, report, first_seen, about)
        unmatched_queries.settle(unit.db, report.id)
    return len(reports)


def _is_older(report: StoredReport, watched_since: datetime) -> bool:
    """Whether a report is about mail of a time of which nothing is known."""
    return report.original_date is not None and report.original_date < watched_since - SENT_BEFORE_WATCH


def _tell(unit: Unit, report: StoredReport, first_seen: datetime, about: tuple[str, ...]) -> None:
    ids = list(dict.fromkeys(key.key[2:] for key in report.keys if key.key.startswith("m:")))[:MAX_NAMED]
    whole = [found for one in ids for found in unmatched_queries.beginning_with(unit.db, one, MAX_NAMED)]
    data = {
        "account": report.account,
        "kind": report.kind,
        "first_seen": first_seen.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "message_ids": [clean(one) for one in ids],
        "recipients": [clean(one) for one in about[:MAX_NAMED]],
        "perhaps_cut": [{"message_id": message_id, "from": sender} for message_id, sender in whole[:MAX_NAMED]],
    }
    tell_of_report(unit, EventType.REPORT_UNMATCHED, report.id, report.account, data)
