"""One event for one sink: what the sink is given, and what it says came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NotificationState(StrEnum):
    """Where a notification stands. The first three are unfinished.

    Of the unfinished notifications of one sink and order key one is HEAD or LEASED: the oldest, or that which was under
    way when an older one was asked for again. All others are WAITING.
    """

    WAITING = "waiting"  # behind an older one of the same recipient
    HEAD = "head"  # goes out when it is due
    LEASED = "leased"  # an attempt was written down and may be under way
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event as a sink gets it. `body` is the JSON exactly as it goes out; `attempt` is 1 for the first."""

    event_id: str
    event_type: str
    body: bytes
    attempt: int


class Verdict(StrEnum):
    """A sink's answer to the one question about a failure: is it the event's or the endpoint's."""

    DELIVERED = "delivered"
    REJECTED = "rejected"  # this event was not taken; others may be
    UNAVAILABLE = "unavailable"  # the endpoint takes nothing for now
    GONE = "gone"  # the endpoint asks never to be called again


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt.

    `cause` says to people why not ("" when delivered), without secrets and foreign text; `status` is the HTTP
    status where there was one. `retry_after` is how many seconds the endpoint asked to be left alone, None if it
    did not ask.
    """

    verdict: Verdict
    cause: str
    status: int | None = None
    retry_after: float | None = None
