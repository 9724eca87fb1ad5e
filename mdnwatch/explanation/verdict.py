"""What is known of a recipient in a few sentences: the strongest evidence, how far it goes, what stands beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from mdnwatch.explanation.say import (
    Clock,
    Facts,
    Say,
    Section,
    counted,
    failure,
    filled,
    listed,
    on,
    one_word,
    reporter,
    rule_of,
    server_words,
)
from mdnwatch.explanation.silence import silence, waiting
from mdnwatch.model.authenticity import REASONS, Grade
from mdnwatch.model.evidence import Kind
from mdnwatch.model.rule_words import GRADES, GRADES_SOURCE

# A state of one word that the evidence does not have itself: these are the signs of life from which it follows.
_SIGNS: Mapping[str, tuple[Kind, ...]] = {
    "delivered": (Kind.DELIVERED, Kind.AUTO_REPLIED, Kind.COMPLAINED, Kind.WARNING)
}

# RFC 2298 §3.2.6.3 and RFC 8098 §3.2.7, in words.
_WARNINGS: Mapping[str, str] = {
    "error": "something went wrong when the receipt was made",
    "warning": "something was odd when the receipt was made",
    "superseded": "a later message took its place before it was read",
    "expired": "it expired before it was read",
    "mailbox-terminated": "the mailbox was closed before it was read",
    "failed": "the receipt could not be made",
}

MAX_NAMED = 5


def of_recipient(recipient: Facts, message: Facts, clock: Clock) -> Iterator[Say]:
    """All that is to be said of a recipient of a message, the answer to "what became of it?" first."""
    lead = lead_of(recipient)
    if lead is not None:
        yield _told(recipient, lead, clock)
        yield trust(lead)
    if not recipient["addressed"]:
        yield _never_addressed(recipient)
    yield from _flags(recipient, lead, clock)
    yield from _also(recipient, lead, clock)
    yield from _set_aside(recipient, clock)
    if recipient["addressed"] and recipient["reading"] == "none" and recipient["delivery"] != "failed":
        yield from silence(recipient, message, clock)
    yield from waiting(recipient, clock)


def section(recipient: Facts, message: Facts, clock: Clock) -> Section:
    """What is to be said of a recipient, under a heading that has it in one word."""
    word = one_word(recipient["summary"])
    return Section(f"{recipient['address']}: {word}", tuple(of_recipient(recipient, message, clock)), style="bold")


def lead_of(recipient: Facts) -> Facts | None:
    """The piece of evidence on which the one-word summary rests; None where there is none."""
    summary = recipient["summary"]
    kinds = _SIGNS.get(summary, (summary,))
    found = [piece for kind in kinds for piece in recipient["evidence"] if piece["accepted"] and piece["kind"] == kind]
    # The failure of the address itself says more than that of somebody behind it.
    return min(found, key=lambda piece: bool(piece["member"]), default=None)


def _told(recipient: Facts, lead: Facts, clock: Clock) -> Say:
    rule, who = rule_of(lead), recipient["address"]
    parts = [filled(rule.says, who, lead), _when(lead, clock)]
    words = server_words(lead) if lead["kind"] in {Kind.FAILED, Kind.DELAYED} else ""
    if words:
        parts.append(f'Its words: "{words}".')
    if lead["kind"] == Kind.FAILED and "disposition" not in lead["fields"]:
        parts.append(failure(lead)[1])
    if lead["retry_until"]:
        parts.append(f"It will try until {on(lead['retry_until'], clock)}.")
    if lead["return_date"]:
        parts.append(_absence(lead["return_date"], clock.now.date()))
    parts.append(filled(rule.caveat, who, lead))
    return Say(lead["kind"], " ".join(parts), rule.source)


def _when(piece: Facts, clock: Clock) -> str:
    if piece["claimed_at"]:
        return f"The report dates this {on(piece['claimed_at'], clock)}."
    return f"The report gives no time; your mail server took it in {on(piece['observed_at'], clock)}."


def _absence(until: str, today: date) -> str:
    over = date.fromisoformat(until) < today
    return f"It names {until} as the day of return{', which is over' if over else ''}."


def trust(piece: Facts) -> Say:
    """How far a piece of evidence is trusted, and why."""
    reasons = reasons_of(piece)
    because = f" ({'; '.join(reasons)})" if reasons else ""
    return Say(
        f"trust-{piece['grade']}",
        f"How sure is that? {_capital(GRADES[Grade(piece['grade'])])}{because}.",
        GRADES_SOURCE,
    )


def reasons_of(piece: Facts) -> list[str]:
    """The reasons of a grade in words."""
    return [REASONS[code].text if code in REASONS else code for code in piece["grade_reasons"]]


def _never_addressed(recipient: Facts) -> Say:
    hint = recipient["probable_recipient"]
    behind = (
        f" It may be somebody to whom {hint} passes mail on; that is a guess, and the state of {hint} does not rest"
        " on it."
        if hint
        else ""
    )
    text = (
        f"You did not write to {recipient['address']}, yet it reports: a hidden copy, a forwarded one, a member of a"
        f" list, or a stranger.{behind}"
    )
    return Say("never-addressed", text)


def _flags(recipient: Facts, lead: Facts | None, clock: Clock) -> Iterator[Say]:
    flags, lead_kind = recipient["flags"], lead["kind"] if lead else None
    if "conflicting" in flags:
        yield Say(
            "conflicting",
            "The reports contradict each other: one says that it failed, another shows that it arrived. Both are kept,"
            " since a server that gave up cannot know of a copy that got through.",
            "RFC 3464 §4.3",
        )
    if "partly_failed" in flags:
        yield Say("partly-failed", _members(recipient), "RFC 3464 §2.3.2")
    if "auto_replied" in flags and lead_kind != Kind.AUTO_REPLIED:
        until = recipient.get("return_date")
        absence = f" {_absence(until, clock.now.date())}" if until else ""
        yield Say("auto_replied", f"A machine answered too, as an absence notice does.{absence}", "RFC 3834 §2")
    if "complained" in flags and lead_kind != Kind.COMPLAINED:
        yield Say("complained", f"There is a complaint about it from {recipient['address']}.", "RFC 5965 §7.3")
    for warning in recipient["warnings"]:
        yield Say("warning", f"A receipt warns: {_WARNINGS.get(warning, warning)}.", "RFC 8098 §3.2.6.3")


def _members(recipient: Facts) -> str:
    members = recipient["members_failed"]
    more = f" and {counted(len(members) - MAX_NAMED, 'other')}" if len(members) > MAX_NAMED else ""
    return (
        f"Behind {recipient['address']} it failed for {', '.join(members[:MAX_NAMED])}{more}; others there got it, so"
        " this is a part of the story and not its end."
    )


def _also(recipient: Facts, lead: Facts | None, clock: Clock) -> Iterator[Say]:
    """The kinds of evidence that the first sentence does not rest on."""
    told = {lead["kind"] if lead else None, Kind.AUTO_REPLIED, Kind.COMPLAINED, Kind.WARNING}
    if "partly_failed" in recipient["flags"] and not recipient["failed"]:
        told.add(Kind.FAILED)
    first: dict[str, Facts] = {}
    for piece in recipient["evidence"]:
        if piece["accepted"] and piece["kind"] not in told:
            first.setdefault(piece["kind"], piece)
    if first:
        names = [f"{kind} on {on(piece['claimed_at'] or piece['observed_at'], clock)}" for kind, piece in first.items()]
        yield Say("also", f"Other reports say: {listed(names)}.")


def _set_aside(recipient: Facts, clock: Clock) -> Iterator[Say]:
    """The reports that changed nothing, and why."""
    aside = [piece for piece in recipient["evidence"] if not piece["accepted"]]
    for piece in aside[:MAX_NAMED]:
        what = f"A report of {reporter(piece)} claims {piece['kind']}, dated {on(piece['claimed_at'], clock)}"
        if piece["grade"] == Grade.CONTRADICTED:
            because = "; ".join(reasons_of(piece))
            text = (
                f"{what}. It was set aside and changed nothing: {because}. Forged or replayed receipts look like this."
            )
            yield Say("suspicious", text, GRADES_SOURCE)
        else:
            text = (
                f"{what}. It changed nothing: its grade, {piece['grade']}, is below the min_grade of your"
                " configuration."
            )
            yield Say("below-min-grade", text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
