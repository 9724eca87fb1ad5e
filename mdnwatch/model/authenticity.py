"""How far a piece of evidence can be trusted: a grade with its reasons (RFC 8098 §6.1: receipts can be forged).

The table REASONS is the rule; a person who does not program can read it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from mdnwatch.model.address import canonical_domain, same_or_parent_domain, split, without_sub_address
from mdnwatch.model.correlation import Rung
from mdnwatch.model.token import Proof

_Outcome = TypeVar("_Outcome", bound=StrEnum)


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


class Dkim(StrEnum):
    """What is known of a DKIM signature (RFC 6376) by the very domain of From; the later wins."""

    NONE = "none"
    NO_ANSWER = "no-answer"  # of the DNS
    CUT = "cut"  # not all of the message was fetched
    BROKEN = "broken"  # it does not fit what arrived
    PASS = "pass"  # noqa: S105 - a result of RFC 8601, no password


class Dmarc(StrEnum):
    """What a configured mail server found of the domain of From (RFC 7489); the later wins."""

    NONE = "none"
    FAIL = "fail"
    PASS = "pass"  # noqa: S105 - a result of RFC 8601, no password


class Smime(StrEnum):
    """What is known of an S/MIME signature (RFC 8551) over the report; the later wins.

    NONE comes after INVALID: whoever sends somebody's report again, with a bad signature, does not make it suspicious.
    """

    INVALID = "invalid"  # it does not fit what it signs
    NONE = "none"
    NOT_VERIFIED = "not-verified"  # it could not be checked, or no trust store is configured
    UNTRUSTED = "untrusted"  # it fits, and no trusted authority vouches for its certificate
    VALID = "valid"


def _later(one: _Outcome, other: _Outcome) -> _Outcome:
    order = list(type(one))
    return max(one, other, key=order.index)


@dataclass(frozen=True, slots=True)
class Checks:
    """What was found of a report's sender when it arrived. `smime_addresses` are those of the signers' certificates.

    DKIM and DMARC passed only where From names exactly one address.
    """

    dkim: Dkim = Dkim.NONE
    dmarc: Dmarc = Dmarc.NONE
    smime: Smime = Smime.NONE
    smime_addresses: tuple[str, ...] = ()

    def united(self, other: Checks) -> Checks:
        """What is known of one report that arrived at two places: what was proved at one of them is proved."""
        return Checks(
            _later(self.dkim, other.dkim),
            _later(self.dmarc, other.dmarc),
            _later(self.smime, other.smime),
            tuple(sorted({*self.smime_addresses, *other.smime_addresses})[:MAX_ADDRESSES]),
        )


# A certificate names one or two addresses.
MAX_ADDRESSES = 20


@dataclass(frozen=True, slots=True)
class Provenance:
    """Of a report what its grade hangs on. Dates are aware UTC; addresses plain.

    `reporting_mta` is a name, "" where it is not known which, None where there is none.
    """

    is_mdn: bool
    from_address: str | None
    date: datetime | None
    reporting_mta: str | None
    returns_something: bool
    is_reply: bool = False
    wrong_token: bool = False
    heuristic: bool = False  # understood by its words, not by fields or by a known format
    checks: Checks = Checks()


@dataclass(frozen=True, slots=True)
class Graded:
    """A grade and the codes of its reasons, in the order of REASONS; no reasons: nothing speaks against it."""

    grade: Grade
    reasons: tuple[str, ...] = ()

    @property
    def by(self) -> str | None:
        """What vouches for the report: "dmarc", "dkim", "smime" or "token"; None for one that is not authenticated."""
        if self.grade is not Grade.AUTHENTICATED:
            return None
        return next((REASONS[code].by for code in self.reasons if REASONS[code].by), None)


class Case(NamedTuple):
    """What is judged: a report about a recipient of a message, and how it was matched with that."""

    of: Provenance
    sent_at: datetime | None
    recipient: str  # "" where the report names none
    addressed: bool
    rung: Rung | None
    own_mtas: Collection[str]
    proof: Proof  # of the report's tokens, of this recipient


def _comes_from_recipient(case: Case) -> bool:
    sender = case.of.from_address
    return sender is not None and without_sub_address(sender) == without_sub_address(case.recipient)


# Rungs whose key stands in what an S/MIME signature covers: not in the header of the message.
_SIGNED_RUNGS = frozenset({Rung.ORIGINAL_MESSAGE_ID, Rung.RETURNED_MESSAGE_ID, Rung.INLINE_MESSAGE_ID})


def _bears_signature_of_recipient(case: Case) -> bool:
    checks = case.of.checks
    if checks.smime is not Smime.VALID or case.rung not in _SIGNED_RUNGS:
        return False
    return without_sub_address(case.recipient) in map(without_sub_address, checks.smime_addresses)


# A clock may be wrong by a time zone, not by more.
MAX_AGE_BEFORE_MESSAGE = timedelta(hours=24)


def _age_before_message(case: Case) -> timedelta:
    date = case.of.date
    return timedelta(0) if date is None or case.sent_at is None else case.sent_at - date


# RFC 2142 §4 and RFC 5321 §4.5.1, and the names under which mail systems send what they say themselves.
MAIL_SYSTEMS = frozenset({"postmaster", "mailer-daemon", "mail-daemon", "mdaemon"})


def _is_foreign(case: Case) -> bool:
    # A DSN comes from an MTA, which may stand anywhere: its sender proves nothing either way.
    sender = case.of.from_address
    return case.of.is_mdn and not (sender and same_or_parent_domain(sender, case.recipient))


def _is_of_somebody_else(case: Case) -> bool:
    sender = case.of.from_address or ""
    if not case.of.is_mdn or _is_foreign(case) or _comes_from_recipient(case):
        return False
    return split(sender)[0].lower() not in MAIL_SYSTEMS


def _has_nothing_to_judge_by(case: Case) -> bool:
    of = case.of
    # A reply is judged by its sender, without whom it would tell of nobody.
    return not (of.is_mdn or of.is_reply or of.reporting_mta is not None or of.returns_something)


def _is_of_foreign_mta(case: Case) -> bool:
    name = case.of.reporting_mta
    # Without `own_mtas` nobody knows which are ours; what is returned was held by whoever reports.
    if not name or not case.own_mtas or case.of.returns_something:
        return False
    host = canonical_domain(name)
    own = any(host == own or host.endswith("." + own) for own in map(canonical_domain, case.own_mtas))
    return not own and not same_or_parent_domain(f"@{host}", case.recipient)


class Reason(NamedTuple):
    """A reason: the grade it gives at best, the words for people, and when it holds.

    `by` names what vouches; `settles` are the codes of doubts that it removes.
    """

    grade: Grade
    text: str
    holds: Callable[[Case], bool]
    by: str | None = None
    settles: frozenset[str] = frozenset()


# Whose signature it is, is known without From.
_DOUBTS_OF_SENDER = frozenset({"foreign-sender", "same-domain-sender", "dmarc-failed", "dkim-broken"})

# The worst grade of the reasons that hold is that of the evidence, but "consistent" where none of them is better or
# worse. Those of grade "consistent" are told and change nothing.
REASONS: Mapping[str, Reason] = MappingProxyType(
    {
        "token": Reason(
            Grade.AUTHENTICATED,
            "it bears a token that was made for this one recipient",
            lambda case: case.proof is Proof.OWN,
            "token",
            _DOUBTS_OF_SENDER | {"nothing-to-judge-by", "foreign-mta"},
        ),
        "smime-valid": Reason(
            Grade.AUTHENTICATED,
            "it bears a valid S/MIME signature of the recipient",
            _bears_signature_of_recipient,
            "smime",
            _DOUBTS_OF_SENDER,
        ),
        "dmarc-pass": Reason(
            Grade.AUTHENTICATED,
            "it comes from the recipient, and your mail server found that its domain vouches for it (DMARC)",
            lambda case: _comes_from_recipient(case) and case.of.checks.dmarc is Dmarc.PASS,
            "dmarc",
        ),
        "dkim-pass": Reason(
            Grade.AUTHENTICATED,
            "it comes from the recipient, and bears a verified signature of its domain (DKIM)",
            lambda case: _comes_from_recipient(case) and case.of.checks.dkim is Dkim.PASS,
            "dkim",
        ),
        "shared-token": Reason(
            Grade.CONSISTENT,
            "it bears a token that all recipients got: whoever made it held a copy",
            lambda case: case.proof is Proof.SHARED,
        ),
        "dkim-no-answer": Reason(
            Grade.CONSISTENT,
            "its DKIM signature was not checked: no answer from the DNS",
            lambda case: case.of.checks.dkim is Dkim.NO_ANSWER,
        ),
        "dkim-cut": Reason(
            Grade.CONSISTENT,
            "its DKIM signature was not checked: not all of the message was fetched",
            lambda case: case.of.checks.dkim is Dkim.CUT,
        ),
        "smime-not-verified": Reason(
            Grade.CONSISTENT,
            "its S/MIME signature was not checked",
            lambda case: case.of.checks.smime is Smime.NOT_VERIFIED,
        ),
        "smime-other": Reason(
            Grade.CONSISTENT,
            "its S/MIME signature is valid, and is not the recipient's or does not cover what names the message",
            lambda case: case.of.checks.smime is Smime.VALID and not _bears_signature_of_recipient(case),
        ),
        "smime-untrusted": Reason(
            Grade.CONSISTENT,
            "no authority that you trust vouches for the certificate of its S/MIME signature",
            lambda case: case.of.checks.smime is Smime.UNTRUSTED,
        ),
        "before-message": Reason(
            Grade.DOUBTFUL,
            "the report is dated before the message",
            lambda case: timedelta(0) < _age_before_message(case) <= MAX_AGE_BEFORE_MESSAGE,
        ),
        "not-addressed": Reason(
            Grade.DOUBTFUL, "the message was not addressed to this recipient", lambda case: not case.addressed
        ),
        "foreign-sender": Reason(
            Grade.DOUBTFUL, "the report comes from neither the recipient nor its domain", _is_foreign
        ),
        "same-domain-sender": Reason(
            Grade.DOUBTFUL,
            "the report comes from somebody else's address in the recipient's domain",
            _is_of_somebody_else,
        ),
        "dmarc-failed": Reason(
            Grade.DOUBTFUL,
            "your mail server found that its domain does not vouch for it (DMARC)",
            lambda case: case.of.checks.dmarc is Dmarc.FAIL,
        ),
        # RFC 6376 §6.3: no proof of forgery, since mail is altered on its way.
        "dkim-broken": Reason(
            Grade.DOUBTFUL,
            "the DKIM signature of its domain does not fit what arrived",
            lambda case: case.of.checks.dkim is Dkim.BROKEN,
        ),
        "heuristic": Reason(
            Grade.DOUBTFUL,
            "the report follows no known format and was understood by its words",
            lambda case: case.of.heuristic,
        ),
        "nothing-to-judge-by": Reason(
            Grade.DOUBTFUL,
            "the report names no reporting MTA and returns nothing of the message",
            _has_nothing_to_judge_by,
        ),
        "foreign-mta": Reason(
            Grade.DOUBTFUL,
            "the reporting MTA is neither yours nor of the recipient's domain, and returns nothing of the message",
            _is_of_foreign_mta,
        ),
        "long-before-message": Reason(
            Grade.CONTRADICTED,
            "the report is dated more than 24 hours before the message",
            lambda case: _age_before_message(case) > MAX_AGE_BEFORE_MESSAGE,
        ),
        "wrong-token": Reason(
            Grade.CONTRADICTED,
            "it bears a token that is none of ours, though it looks like one",
            lambda case: case.of.wrong_token,
        ),
        "other-token": Reason(
            Grade.CONTRADICTED,
            "it bears a token that was made for another recipient",
            lambda case: case.proof is Proof.OTHER,
        ),
        "smime-invalid": Reason(
            Grade.CONTRADICTED,
            "its S/MIME signature does not fit what it signs",
            lambda case: case.of.checks.smime is Smime.INVALID,
        ),
    }
)


def grade(  # noqa: PLR0913 - what a case is made of
    provenance: Provenance,
    sent_at: datetime | None,
    recipient: str | None,
    *,
    addressed: bool,
    rung: Rung | None = None,
    own_mtas: Collection[str] = (),
    proof: Proof = Proof.NONE,
) -> Graded:
    """The grade of evidence about a known message. `recipient` is None where the report names none."""
    case = Case(provenance, sent_at, recipient or "", addressed, rung, own_mtas, proof)
    holding = {code: reason for code, reason in REASONS.items() if reason.holds(case)}
    settled = frozenset[str]().union(*(reason.settles for reason in holding.values()))
    codes = tuple(code for code in holding if code not in settled)
    return Graded(_worst({REASONS[code].grade for code in codes}), codes)


def _worst(grades: Collection[Grade]) -> Grade:
    for one in (Grade.CONTRADICTED, Grade.DOUBTFUL, Grade.AUTHENTICATED):
        if one in grades:
            return one
    return Grade.CONSISTENT
