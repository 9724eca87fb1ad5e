"""The units of work of the outbox: what is written together. Times in ms UTC."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mdnwatch.model.event_type import EventType
from mdnwatch.model.notification import Outcome
from mdnwatch.model.retry import LONGEST_DELAY, Attempt, Endpoint, Step, renewed
from mdnwatch.store import outbox_queries

# Event type, sink, start of the outage (ms UTC), reason.
Announce = Callable[[sqlite3.Connection, EventType, str, int, str], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that has ended; `outcome` is None when it was broken off."""

    attempt: Attempt
    began_at: int
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one unit of work writes: what attempts have come to, what that says of endpoints, and what comes next."""

    now: int
    steps: Sequence[tuple[Ended, Step]]
    changed: Sequence[tuple[Endpoint, Endpoint]]  # before, after
    withdrawn: Sequence[Attempt]  # not made after all
    places: Sequence[tuple[Endpoint, int]]  # how many attempts may be leased


@dataclass(frozen=True, slots=True)
class Leased:
    """The attempts that were written down for a sink, and when its next head is due (ms UTC)."""

    sink: str
    attempts: Sequence[Attempt]
    next_due: int | None


def take_over(
    db: sqlite3.Connection, *, identities: Mapping[str, str], held_until: Mapping[str, int | None], now: int
) -> list[Endpoint]:
    """The start of the only process: every lease is of an earlier one. The endpoints as they are from now on.

    `held_until` says of each sink until when it holds what comes now; None: not at all.
    """
    outbox_queries.release_leases(db)
    known = outbox_queries.load_endpoints(db)
    endpoints = []
    for sink, identity in identities.items():
        outbox_queries.distrust_due_times(db, sink, now, LONGEST_DELAY, held_until[sink])
        endpoint = known.get(sink, Endpoint(sink, identity))
        if endpoint.identity != identity:
            endpoint = renewed(endpoint, identity, now)
            outbox_queries.make_everything_due(db, sink, now)
        if endpoint.next_probe_at is not None:
            endpoint = replace(endpoint, next_probe_at=min(endpoint.next_probe_at, now + LONGEST_DELAY))
        outbox_queries.save_endpoint(db, endpoint)
        endpoints.append(endpoint)
    return endpoints


def set_back(db: sqlite3.Connection, *, endpoints: Sequence[Endpoint], now: int, by: int) -> list[Endpoint]:
    """The clock was set back by so many milliseconds to `now`; the endpoints that change with it."""
    changed = []
    for before in endpoints:
        outbox_queries.set_back(db, before.sink, now, by)
        if before.next_probe_at is not None:
            after = replace(before, next_probe_at=before.next_probe_at - by)
            outbox_queries.save_endpoint(db, after)
            changed.append(after)
    return changed


def write(db: sqlite3.Connection, *, turn: Turn, announce: Announce, delay: Callable[[int], int]) -> list[Leased]:
    """One turn of the outbox; `delay` gives the milliseconds until the next attempt after the n-th rejection."""
    outbox_queries.settle(db, [(ended.attempt, ended.began_at, step) for ended, step in turn.steps], turn.now)
    outbox_queries.withdraw(db, turn.withdrawn)
    for before, after in turn.changed:
        _write_endpoint(db, before, after, turn.now, announce)
    leased = []
    for endpoint, places in turn.places:
        attempts = outbox_queries.lease(db, endpoint.sink, places, turn.now, epoch=endpoint.epoch, delay=delay)
        leased.append(Leased(endpoint.sink, attempts, outbox_queries.next_due(db, endpoint.sink)))
    return leased


def _write_endpoint(db: sqlite3.Connection, before: Endpoint, after: Endpoint, now: int, announce: Announce) -> None:
    if before == after:  # only what is not kept has changed
        return
    outbox_queries.save_endpoint(db, after)
    if before.down_since is not None and after.down_since is None:
        outbox_queries.make_everything_due(db, after.sink, now)
    if after.announced and not before.announced and after.down_since is not None:
        announce(db, EventType.SINK_DOWN, after.sink, after.down_since, after.reason)
    elif before.announced and not after.announced and before.down_since is not None:
        announce(db, EventType.SINK_UP, after.sink, before.down_since, "it answers again")
