"""How far a piece of evidence can be trusted: a grade with its reasons (RFC 8098 §6.1: receipts can be forged)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from mdnwatch.model.address import same_or_parent_domain


class Grade(StrEnum):
    """The grades, the best first."""

    AUTHENTICATED = "authenticated"
    CONSISTENT = "consistent"
    DOUBTFUL = "doubtful"
    CONTRADICTED = "contradicted"

    def at_least(self, other: Grade) -> bool:
        """Whether this grade is as good as the other, or better."""
        order = list(Grade)
        return order.index(self) <= order.index(other)


# A clock may be wrong by a time zone, not by more.
MAX_AGE_BEFORE_MESSAGE = timedelta(hours=24)

# The reasons: code -> what is told to people. Nothing else gives a grade for now.
REASONS: Mapping[str, tuple[Grade, str]] = {
    "long-before-message": (Grade.CONTRADICTED, "the report is dated more than 24 hours before the message"),
    "before-message": (Grade.DOUBTFUL, "the report is dated before the message"),
    "not-addressed": (Grade.DOUBTFUL, "the message was not addressed to this recipient"),
    "foreign-sender": (Grade.DOUBTFUL, "the report comes from neither the recipient nor its domain"),
    "heuristic": (Grade.DOUBTFUL, "the report follows no known format and was understood by its words"),
    "nothing-to-judge-by": (Grade.DOUBTFUL, "the report names no reporting MTA and returns nothing of the message"),
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """Of a report what its grade hangs on. Dates are aware UTC; addresses plain."""

    is_mdn: bool
    from_address: str | None
    date: datetime | None
    has_reporting_mta: bool
    returns_something: bool
    is_reply: bool = False
    heuristic: bool = False  # understood by its words, not by fields or by a known format


@dataclass(frozen=True, slots=True)
class Graded:
    """A grade and the codes of its reasons, in the order of REASONS; no reasons: nothing speaks against it."""

    grade: Grade
    reasons: tuple[str, ...] = ()


def grade(provenance: Provenance, sent_at: datetime | None, recipient: str | None, *, addressed: bool) -> Graded:
    """The grade of evidence about a known message. `recipient` is None where the report names none."""
    reasons = tuple(code for code in REASONS if _holds(code, provenance, sent_at, recipient or "", addressed=addressed))
    worst = [REASONS[code][0] for code in reasons]
    if Grade.CONTRADICTED in worst:
        return Graded(Grade.CONTRADICTED, reasons)
    return Graded(Grade.DOUBTFUL if worst else Grade.CONSISTENT, reasons)


def _holds(code: str, of: Provenance, sent_at: datetime | None, recipient: str, *, addressed: bool) -> bool:
    if code in {"long-before-message", "before-message"}:
        if of.date is None or sent_at is None or of.date >= sent_at:
            return False
        return (sent_at - of.date > MAX_AGE_BEFORE_MESSAGE) == (code == "long-before-message")
    if code == "heuristic":
        return of.heuristic
    if code == "not-addressed":
        return not addressed
    if code == "foreign-sender":
        # A DSN comes from an MTA, which may stand anywhere: its sender proves nothing either way.
        return of.is_mdn and not (of.from_address and same_or_parent_domain(of.from_address, recipient))
    # A reply is judged by its sender, without whom it would tell of nobody.
    return not (of.is_mdn or of.is_reply or of.has_reporting_mta or of.returns_something)
