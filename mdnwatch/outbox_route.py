"""One sink at work in the outbox: what is under way, what is leased, and when there is more to do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from mdnwatch.model.notification import Outcome
from mdnwatch.model.retry import Attempt, Endpoint
from mdnwatch.sinks.base import Sink

# So many times its concurrency is leased for a sink, so that the next attempt need not wait for the disk, and many
# share a transaction. What is leased and not sent when the process dies waits for a first delay in vain, and no longer.
LEASED_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Running:
    """An attempt under way since `began_at` (ms UTC). `deadline` is in the loop's time."""

    attempt: Attempt
    began_at: int
    deadline: float


@dataclass(slots=True)
class Route:
    """One sink at work: attempts that are under way, and those leased that can begin at any moment.

    `next_due` is when its next head is due (ms UTC); it is not to be trusted while `look` is set. While `held` an
    outcome that may take the endpoint down has yet to be judged. Methods take the endpoint, since it is asked about
    before a change of it is written, too.
    """

    sink: Sink
    endpoint: Endpoint
    running: dict[asyncio.Task[Outcome], Running] = field(default_factory=dict)
    ready: deque[Attempt] = field(default_factory=deque)
    held: bool = False
    look: bool = True
    next_due: int | None = None

    def may_lease(self, endpoint: Endpoint, now: int) -> int:
        """How many attempts may be written down."""
        if endpoint.disabled_at is not None:
            return 0
        if endpoint.down_since is not None:
            return 0 if self._is_probed(endpoint) or now < (endpoint.next_probe_at or 0) else 1
        return self._room()

    def _room(self) -> int:
        return max(self.sink.settings.concurrency * LEASED_AHEAD - len(self.running) - len(self.ready), 0)

    def may_begin(self) -> bool:
        """Whether the next attempt of those leased can begin."""
        return bool(self.ready) and not self.held and len(self.running) < self.sink.settings.concurrency

    def is_pressing(self) -> bool:
        """Whether an outcome is to be written at once, rather than together with those that follow in a moment.

        It is when nothing follows, or when the next are to be leased before those that are leased have all begun.
        """
        if self.held or not self.running:
            return True
        is_short = len(self.ready) < self.sink.settings.concurrency * LEASED_AHEAD // 2
        return is_short and self.next_due is not None

    def has_due(self, now: int) -> bool:
        """Whether the database is worth asking."""
        return self.look or (self.next_due is not None and self.next_due <= now)

    def wakes_at(self) -> int | None:
        """When the next attempt may be leased (ms UTC); None when only an outcome or a new event changes that."""
        due = 0 if self.look else self.next_due
        if due is None or self.endpoint.disabled_at is not None:
            return None
        if self.endpoint.down_since is not None:
            return None if self._is_probed(self.endpoint) else max(due, self.endpoint.next_probe_at or 0)
        return due if self._room() else None

    def overdue(self, time: float) -> Iterator[asyncio.Task[Outcome]]:
        """The attempts whose deadline has passed; the oldest come first."""
        return takewhile(lambda task: self.running[task].deadline <= time, list(self.running))

    def _is_probed(self, endpoint: Endpoint) -> bool:
        return any(running.attempt.epoch == endpoint.epoch for running in self.running.values())
