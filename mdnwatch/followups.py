"""Silence: recipients of whom nothing was heard in time, and messages whose watch is over; sweeps over an index."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mdnwatch import settlement
from mdnwatch.model.event import Event, RecipientFacts, overdue_event, overdue_event_id
from mdnwatch.model.followup import Look, Watch, is_settled, look
from mdnwatch.store import event_queries, followup_queries, sent_queries
from mdnwatch.store.sent_queries import StoredMessage, StoredRecipient
from mdnwatch.sweeps import Log, Writer, run_every

SWEEP_INTERVAL = timedelta(seconds=5)

# Recipients of one unit of work: others get their turn in between.
RECIPIENTS_PER_UNIT = 200
# Of one sweep; the next one goes on.
UNITS_PER_SWEEP = 50

# An account that cannot be read just now is asked about again after this.
LOOK_AGAIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Followups:
    """What the sweeps are given.

    `watch` is asked anew for each sweep. `read_until` tells of each account until when everything that arrived is
    handled, aware UTC: silence proves nothing of a time that was not listened to. `enqueue` queues an event for the
    sinks, `told` is called when something was queued.
    """

    store: Writer
    watch: Callable[[], Watch]
    read_until: Callable[[], Mapping[str, datetime]]
    enqueue: Callable[[sqlite3.Connection, Event, datetime], None]
    told: Callable[[], None]
    now: Callable[[], datetime]
    log: Log

    async def run(self) -> None:
        """Sweep at once and then every few seconds, until cancelled."""
        await run_every(SWEEP_INTERVAL, self.sweep, self.now, self.log)

    async def sweep(self) -> None:
        """Look at the recipients whose time has come, up to a bound."""
        watch, read_until, now = self.watch(), self.read_until(), self.now()
        if not read_until:
            return
        await self.store.run(lambda db: followup_queries.reckon_anew(db, watch, now))
        for _ in range(UNITS_PER_SWEEP):
            looked_at, events = await self.store.run(lambda db: self._look(db, watch, read_until, now))
            if events:
                self.log.info("silence told", events=[event.id for event in events])
                self.told()
            if looked_at < RECIPIENTS_PER_UNIT:
                return

    def _look(
        self, db: sqlite3.Connection, watch: Watch, read_until: Mapping[str, datetime], now: datetime
    ) -> tuple[int, list[Event]]:
        """One unit of work: how many recipients were looked at, and what was told of them."""
        recipients = followup_queries.due(db, now, RECIPIENTS_PER_UNIT)
        messages: dict[int, StoredMessage] = {}
        events: list[Event] = []
        for recipient in recipients:
            message = messages.get(recipient.message) or sent_queries.load_message(db, recipient.message)
            messages[recipient.message] = message
            heard = read_until.get(message.account)
            if heard is None or message.sent_at is None:
                followup_queries.look_again(db, recipient, now + LOOK_AGAIN)
                continue
            found = look(recipient.state, message.requested, message.sent_at, watch, min(now, heard))
            events += _told(db, message, recipient, found, now)
        for event in events:
            self.enqueue(db, event, now)
        return len(recipients), events


def _told(
    db: sqlite3.Connection, message: StoredMessage, recipient: StoredRecipient, found: Look, now: datetime
) -> list[Event]:
    """Keep what a look came to; the events to be queued."""
    events = []
    if found.overdue is not None and (overdue := _overdue(db, message, recipient, found.overdue, now)):
        events.append(overdue)
    if found.next_look is not None:
        # Not at once again, where the account was not read until now.
        followup_queries.look_again(db, recipient, max(found.next_look, now + timedelta(milliseconds=1)))
        return events
    settled = settlement.close(db, message, recipient, now, expired=not is_settled(recipient.state))
    if settled is not None and event_queries.insert_event(db, settled, now, message=message.id):
        events.append(settled)
    return events


def _overdue(
    db: sqlite3.Connection, message: StoredMessage, recipient: StoredRecipient, step: timedelta, now: datetime
) -> Event | None:
    identifier = overdue_event_id(message, recipient.address, step)
    if event_queries.is_known(db, identifier):
        return None
    after = replace(recipient, sequence=recipient.sequence + 1)
    facts = RecipientFacts(recipient.address, recipient.addressed, recipient.state, recipient.state)
    event = overdue_event(identifier, after.sequence, message, facts, step, now)
    event_queries.insert_event(db, event, now, message=message.id, recipient=recipient.address, sequence=after.sequence)
    sent_queries.save_state(db, after)
    return event
