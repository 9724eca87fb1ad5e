"""Derived data anew from what is kept: matches, grades and states, by the rules that hold now."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from mdnwatch import telling
from mdnwatch.config import Config
from mdnwatch.model.event import Event
from mdnwatch.model.stored import state_from
from mdnwatch.placement import place_anew
from mdnwatch.store import report_queries, sent_queries
from mdnwatch.store.sqlite import Store
from mdnwatch.unit import Rules, Unit, rules_of

# What is told of one change: "unknown -> failed".
Change = tuple[str, str]


@dataclass(slots=True)
class Changes:
    """What is different now. `outcomes` are of reports (as "waiting -> matched"), `states` of recipients."""

    reports: int = 0
    outcomes: Counter[Change] = field(default_factory=Counter)
    states: Counter[Change] = field(default_factory=Counter)
    announced: int = 0

    def lines(self) -> Iterator[str]:
        """The same for people."""
        yield f"{self.reports} reports placed anew"
        for what, counter in (("report", self.outcomes), ("recipient", self.states)):
            for (before, after), count in counter.most_common():
                yield f"  {count} {what}{'' if count == 1 else 's'}: {before} → {after}"
        if not self.outcomes and not self.states:
            yield "  nothing has changed"
        yield f"{self.announced} events announced" if self.announced else "nothing was announced"


class _NotMeant(Exception):
    """Ends the transaction of a dry run."""

    def __init__(self, changes: Changes) -> None:
        super().__init__()
        self.changes = changes


async def run(config: Config, now: datetime, *, announce: bool, dry_run: bool) -> Changes:
    """Recompute the database of a configuration; `now` is aware UTC. Raises StoreError where a daemon owns it."""
    enqueue = partial(telling.enqueue, sinks=config.sinks)

    def work(db: sqlite3.Connection) -> Changes:
        changes = recompute(db, rules_of(config), now, enqueue, announce=announce)
        if dry_run:
            raise _NotMeant(changes)
        return changes

    store = Store(config.state_dir)
    await store.open()
    try:
        return await store.run(work)
    except _NotMeant as told:
        return told.changes
    finally:
        await store.close()


def recompute(
    db: sqlite3.Connection,
    rules: Rules,
    now: datetime,
    enqueue: Callable[[sqlite3.Connection, Event, datetime], None],
    *,
    announce: bool,
) -> Changes:
    """Place every report anew and fold every state, in one transaction of the caller's; `now` is aware UTC.

    What becomes known by it is announced only where `announce` says so, and never later.
    """
    changes = Changes()
    db.execute(
        "CREATE TEMP TABLE earlier AS SELECT message, mailbox, address, state FROM recipient WHERE state NOT NULL"
    )
    db.execute("CREATE INDEX temp.earlier_recipient ON earlier (message, mailbox, address)")
    try:
        sent_queries.forget_states(db)
        for report_id, outcome in report_queries.placed_reports(db):
            unit = Unit(db, rules, now, enqueue)
            report = report_queries.load_report(db, report_id)
            after = place_anew(unit, report if announce else replace(report, announce=False))
            changes.reports += 1
            changes.announced += len(unit.events)
            if after != outcome:
                changes.outcomes[outcome, after] += 1
        sent_queries.forget_empty(db)
        changes.states.update(_changed_states(db))
    finally:
        db.execute("DROP TABLE earlier")
    return changes


def _changed_states(db: sqlite3.Connection) -> Iterator[Change]:
    rows = db.execute(
        "SELECT earlier.state, recipient.state FROM recipient LEFT JOIN earlier USING (message, mailbox, address)"
        " WHERE earlier.state IS NOT recipient.state"
        " UNION ALL SELECT earlier.state, NULL FROM earlier LEFT JOIN recipient USING (message, mailbox, address)"
        " WHERE recipient.message IS NULL"
    )
    for before, after in rows:
        words = state_from(before).summary, state_from(after).summary
        if words[0] != words[1]:
            yield words
