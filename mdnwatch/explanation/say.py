"""What an explanation is made of: sentences for people with a code for programs, and the names and times in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mdnwatch.event_words import moment, program_of
from mdnwatch.model.evidence import Kind
from mdnwatch.model.reasons import Reason
from mdnwatch.model.rule_words import FAILURES, HANDOVER, MEMBER, REFUSAL, RULES, Rule

Facts = Mapping[str, Any]


# What is not told by a mail program's receipt or by a mail server.
_BY_SENDER = frozenset({Kind.REPLIED, Kind.AUTO_REPLIED, Kind.COMPLAINED})


class Clock(NamedTuple):
    """When an explanation is given, aware UTC; `kept`: it will be read later, so nothing in it is "an hour ago"."""

    now: datetime
    kept: bool = False


class Say(NamedTuple):
    """One statement: a word for programs, the sentences, and where the rule behind it stands ("": nowhere)."""

    code: str
    text: str
    source: str = ""


class Section(NamedTuple):
    """Statements under a heading; `labelled` are short facts with the word that stands before each."""

    heading: str
    says: tuple[Say, ...] = ()
    labelled: tuple[tuple[str, str], ...] = ()
    style: str = ""


def rule_of(piece: Facts) -> Rule:
    """The rule that a piece of evidence goes by."""
    kind = Kind(piece["kind"])
    if kind is Kind.FAILED and "disposition" in piece["fields"]:
        return REFUSAL
    if kind is Kind.FAILED and piece["member"]:
        return MEMBER
    return HANDOVER if piece["handed_over_to"] else RULES[kind]


def filled(text: str, who: str, piece: Facts) -> str:
    """The text of a rule with the names that it speaks of; the first letter large."""
    text = text.format(
        who=who, by=reporter(piece), why=failure(piece)[0], host=piece["handed_over_to"], member=piece["member"]
    )
    # An address keeps its own letters.
    return text if text.startswith(who) else text[:1].upper() + text[1:]


def failure(piece: Facts) -> tuple[str, str]:
    """Why it was not delivered, and what can be done."""
    known = piece["reason"] in set(Reason)
    return FAILURES[Reason(piece["reason"]) if known else Reason.OTHER]


def reporter(piece: Facts) -> str:
    """Who reports: the mail program of a receipt, the mail server of a delivery report, else whoever sent it."""
    fields = piece["fields"]
    if piece["kind"] in _BY_SENDER:
        return str(piece["report"]["from"] or "nobody that it names")
    if "disposition" in fields:
        return program_of(fields.get("reportingUA"))
    host = str(fields.get("reporting_mta") or "").partition(";")[2].strip()
    return f"the mail server {host}" if host else "a mail server"


def server_words(piece: Facts) -> str:
    """The other server's own words, without the type before them (RFC 3464 §2.3.6); "" where there are none."""
    diagnostic = str(piece["fields"].get("diagnostic_code") or "")
    return diagnostic.partition(";")[2].strip() or diagnostic


def time_of(text: str | None) -> datetime | None:
    """A time of the facts, aware."""
    return None if text is None else datetime.fromisoformat(text)


def on(text: str | None, clock: Clock) -> str:
    """A time of the facts in words."""
    time = time_of(text)
    if clock.kept and time is not None:
        return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return moment(time, clock.now)


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def one_word(summary: str) -> str:
    """The summary of a state in words."""
    return "no evidence" if summary == "unknown" else summary


def listed(names: list[str]) -> str:
    """Names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
