"""What was told, in the order in which it was: for receivers that were away, and for those that follow along."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from mdnwatch import local_api
from mdnwatch.errors import MdnwatchError
from mdnwatch.store import event_queries
from mdnwatch.store.sqlite import DATABASE_NAME, connect_for_reading

# Of one answer: at most 16 KiB each, so that it stays far below what the local socket carries.
MAX_EVENTS = 1000

# Seconds that an answer is put off while there is nothing to tell; below the time limit of the local socket.
LONGEST_WAIT = 45.0

Facts = dict[str, Any]
# Whether somebody may know of the event with this body; a feed leaves out the others.
MayKnow = Callable[[Facts], bool]


def page(db: sqlite3.Connection, since: int | None, limit: int, may_know: MayKnow = lambda _: True) -> Facts:
    """The events after a cursor, the oldest first: `{"events": [{"cursor", "event"}], "cursor", "more"}`.

    `since` is the cursor of the last event that the asker has; None: none of the past ones, only where the end is.
    """
    if since is None:
        return {"events": [], "cursor": event_queries.last_number(db), "more": False}
    rows = event_queries.events_after(db, since, min(limit, MAX_EVENTS))
    events = [{"cursor": number, "event": json.loads(body)} for number, body in rows]
    return {
        "events": [one for one in events if may_know(one["event"])],
        "cursor": rows[-1][0] if rows else since,
        "more": len(rows) == min(limit, MAX_EVENTS),
    }


def pages(socket: Path, state_dir: Path, since: int | None, *, following: bool) -> Iterator[Facts]:
    """One page after the other: from the daemon, or from the database while none runs (then only what is there).

    With `following` it goes on until it is broken off. Raises MdnwatchError.
    """
    while True:
        wait = LONGEST_WAIT if following else 0.0
        question = {"command": "events", "since": since, "limit": MAX_EVENTS, "wait": wait}
        found = local_api.ask(socket, question)
        if found is None and following:
            raise MdnwatchError(f"no daemon listens at {socket}: start it (mdnwatch run), or leave out --follow")
        if found is None:
            with closing(connect_for_reading(state_dir / DATABASE_NAME)) as db:
                found = page(db, since, MAX_EVENTS)
        yield found
        since = found["cursor"]
        if not (following or found["more"]):
            return
