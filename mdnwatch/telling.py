"""Whom an event is told: a notification for each sink that wants it, in the transaction of what it tells."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from mdnwatch.model.event import Event
from mdnwatch.model.event_facts import EventFacts
from mdnwatch.model.stored import to_ms
from mdnwatch.sinks.base import SinkSettings
from mdnwatch.store import outbox_queries


def enqueue(
    db: sqlite3.Connection, event: Event, at: datetime, sinks: Iterable[SinkSettings], *, but: str | None = None
) -> None:
    """Queue an event that is told at `at` (aware UTC) for the sinks that want it, except the one named `but`."""
    facts = EventFacts(event.type, event.body)
    for settings in sinks:
        if settings.name != but and settings.wants(facts):
            queue(db, event.id, event.order_key, at, settings)


def queue(db: sqlite3.Connection, event_id: str, order_key: str, at: datetime, settings: SinkSettings) -> int:
    """Queue an event for one sink; queued already, it stays as it is, and this says 0."""
    now, held_until = to_ms(at) or 0, to_ms(settings.holds_until(at))
    # What goes out together needs no order of its own.
    key = order_key if held_until is None else event_id
    return outbox_queries.enqueue(db, event_id, [settings.name], key, now, held_until=held_until)
