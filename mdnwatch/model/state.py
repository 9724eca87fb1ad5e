"""The state of a recipient: a pure fold over the set of accepted evidence, so that order and repetition cannot matter.

The tables are the rules; a person who does not program can read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum
from typing import TypeVar

from mdnwatch.model.evidence import Evidence, Kind


class Delivery(IntEnum):
    """How far the message is known to have come; rising."""

    UNKNOWN = 0
    SUBMITTED = 1
    DELAYED = 2
    EXPANDED = 3
    RELAYED = 4
    DELIVERED = 5
    FAILED = 6


class Reading(IntEnum):
    """What the recipient is known to have done with it; rising."""

    NONE = 0
    PROCESSED = 1
    DISPATCHED = 2
    DELETED = 3
    DECLINED = 4
    DISPLAYED = 5
    REPLIED = 6


# What each kind of evidence says of the delivery. Any sign of life of the recipient means "delivered".
# FAILED is not in the table: `delivery` has its rule.
DELIVERY_OF: Mapping[Kind, Delivery] = {
    Kind.SUBMITTED: Delivery.SUBMITTED,
    Kind.DELAYED: Delivery.DELAYED,
    Kind.EXPANDED: Delivery.EXPANDED,
    Kind.RELAYED: Delivery.RELAYED,
    Kind.DELIVERED: Delivery.DELIVERED,
    Kind.PROCESSED: Delivery.DELIVERED,
    Kind.DISPATCHED: Delivery.DELIVERED,
    Kind.DELETED: Delivery.DELIVERED,
    Kind.DECLINED: Delivery.DELIVERED,
    Kind.DISPLAYED: Delivery.DELIVERED,
    Kind.REPLIED: Delivery.DELIVERED,
    Kind.AUTO_REPLIED: Delivery.DELIVERED,
    Kind.COMPLAINED: Delivery.DELIVERED,
    Kind.WARNING: Delivery.DELIVERED,
}

# What each kind says of the reading; the others say nothing of it.
READING_OF: Mapping[Kind, Reading] = {
    Kind.PROCESSED: Reading.PROCESSED,
    Kind.DISPATCHED: Reading.DISPATCHED,
    Kind.DELETED: Reading.DELETED,
    Kind.DECLINED: Reading.DECLINED,
    Kind.DISPLAYED: Reading.DISPLAYED,
    Kind.REPLIED: Reading.REPLIED,
}

# Positive evidence: beside it, the failure of a member is a part of the story and not its end.
POSITIVE = frozenset(kind for kind, value in DELIVERY_OF.items() if value >= Delivery.EXPANDED)

# The one word for it: the first that holds.
SUMMARY: tuple[Reading | Delivery, ...] = (
    Reading.REPLIED,
    Reading.DISPLAYED,
    Delivery.FAILED,
    Reading.DECLINED,
    Reading.DELETED,
    Reading.DISPATCHED,
    Reading.PROCESSED,
    Delivery.DELIVERED,
    Delivery.RELAYED,
    Delivery.EXPANDED,
    Delivery.DELAYED,
    Delivery.SUBMITTED,
)

Day = TypeVar("Day", date, datetime)

# A list may have thousands of members; the failures of all are events, the state names this many.
MAX_MEMBERS = 20


@dataclass(frozen=True, slots=True)
class Times:
    """First and last time of one kind, as the reports claim and as the mail servers observed; aware UTC."""

    first_claimed: datetime | None
    last_claimed: datetime | None
    first_observed: datetime
    last_observed: datetime

    def united(self, other: Times) -> Times:
        """The span of both."""
        claimed = [
            time
            for time in (self.first_claimed, self.last_claimed, other.first_claimed, other.last_claimed)
            if time is not None
        ]
        return Times(
            min(claimed, default=None),
            max(claimed, default=None),
            min(self.first_observed, other.first_observed),
            max(self.last_observed, other.last_observed),
        )


@dataclass(frozen=True, slots=True)
class RecipientState:
    """What is known of one recipient. Equal sets of evidence give equal values.

    `failed` is True when a failure of the recipient's own address is in the set; `members` are the addresses
    behind it whose failure was told, in order of their names. `retry_until` is how long a delaying host will try
    (RFC 3464 §2.3.9), `return_date` the day on which an absence ends: of several the latest.
    """

    times: Mapping[Kind, Times] = field(default_factory=dict)
    failed: bool = False
    members: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    handed_over_to: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    retry_until: datetime | None = None
    return_date: date | None = None

    @property
    def delivery(self) -> Delivery:
        """`failed` is final whatever else is claimed; a member's failure counts only where nothing speaks against."""
        if self.failed or (self.members and not self._positive):
            return Delivery.FAILED
        return max((DELIVERY_OF[kind] for kind in self.times if kind in DELIVERY_OF), default=Delivery.UNKNOWN)

    @property
    def reading(self) -> Reading:
        """The furthest that any receipt or reply says."""
        return max((READING_OF[kind] for kind in self.times if kind in READING_OF), default=Reading.NONE)

    @property
    def flags(self) -> tuple[str, ...]:
        """Of auto_replied, complained, conflicting, partly_failed those that hold, in this order."""
        delivered = any(DELIVERY_OF.get(kind) is Delivery.DELIVERED for kind in self.times)
        holds = {
            "auto_replied": Kind.AUTO_REPLIED in self.times,
            "complained": Kind.COMPLAINED in self.times,
            # RFC 3464 §4.3: a "failed" may still be followed by delivery; both are kept.
            "conflicting": self.failed and delivered,
            "partly_failed": bool(self.members) and self._positive,
        }
        return tuple(flag for flag, value in holds.items() if value)

    @property
    def summary(self) -> str:
        """The one-word summary, lower-case."""
        reading, delivery = self.reading, self.delivery
        return next((value.name.lower() for value in SUMMARY if value is reading or value is delivery), "unknown")

    @property
    def _positive(self) -> bool:
        return any(kind in POSITIVE for kind in self.times)


def add(state: RecipientState, evidence: Evidence) -> RecipientState:
    """The state with one more accepted piece of evidence; adding a piece again changes nothing."""
    span = Times(evidence.claimed_at, evidence.claimed_at, evidence.observed_at, evidence.observed_at)
    known = state.times.get(evidence.kind)
    failure = evidence.kind is Kind.FAILED
    return RecipientState(
        times={**state.times, evidence.kind: known.united(span) if known else span},
        failed=state.failed or (failure and evidence.member is None),
        members=_united(state.members, evidence.member if failure else None),
        reasons=_united(state.reasons, evidence.reason),
        handed_over_to=_united(state.handed_over_to, evidence.handed_over_to),
        warnings=_united(state.warnings, *evidence.warnings),
        retry_until=_latest(state.retry_until, evidence.retry_until),
        return_date=_latest(state.return_date, evidence.return_date),
    )


def _latest(one: Day | None, other: Day | None) -> Day | None:
    return max((day for day in (one, other) if day is not None), default=None)


def _united(known: tuple[str, ...], *more: str | None) -> tuple[str, ...]:
    new = {value for value in more if value}
    if new.issubset(known):
        return known
    # The smallest names are kept, so that which are kept does not hang on the order of arrival.
    return tuple(sorted(new.union(known))[:MAX_MEMBERS])


def derive(evidence: Iterable[Evidence]) -> RecipientState:
    """The state that a set of accepted evidence gives."""
    state = RecipientState()
    for piece in evidence:
        state = add(state, piece)
    return state
