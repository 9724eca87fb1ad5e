"""How it is known, in detail: each report with its rule, its times, its match, its trust and its fields quoted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from mdnwatch.event_words import STYLES
from mdnwatch.explanation.say import Clock, Facts, Section, filled, on, rule_of
from mdnwatch.explanation.verdict import reasons_of
from mdnwatch.model.authenticity import Grade
from mdnwatch.model.correlation import Rung
from mdnwatch.model.rule_words import GRADES, RUNGS

# The names of fields as the report itself has them, where the facts have those of RFC 9007.
_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "reportingUA": "Reporting-UA",
        "finalRecipient": "Final-Recipient",
        "originalRecipient": "Original-Recipient",
        "originalMessageId": "Original-Message-ID",
        "mdnGateway": "MDN-Gateway",
        "error": "Error",
    }
)
_REPORTS: Mapping[str, str] = MappingProxyType(
    {
        "mdn": "a receipt (MDN)",
        "dsn": "a delivery report (DSN)",
        "arf": "a complaint (ARF)",
        "reply": "an answer",
        "malformed": "a report that cannot be used",
    }
)


def of_recipient(recipient: Facts, clock: Clock) -> Iterator[Section]:
    """A section for each piece of evidence about a recipient."""
    for number, piece in enumerate(recipient["evidence"], start=1):
        heading = f"{recipient['address']}, {number}. {piece['kind'].replace('_', ' ')}"
        yield Section(heading, labelled=tuple(_piece(recipient, piece, clock)), style=STYLES.get(piece["kind"], ""))
    if recipient["evidence_left_out"]:
        yield Section(f"{recipient['address']}: {recipient['evidence_left_out']:,} more of the same kinds")


def _piece(recipient: Facts, piece: Facts, clock: Clock) -> Iterator[tuple[str, str]]:
    rule = rule_of(piece)
    yield "Rule", f"{filled(rule.means, recipient['address'], piece)} [{rule.source}]"
    yield "Claimed", f"{on(piece['claimed_at'], clock)}, by the report itself" if piece["claimed_at"] else "no time"
    yield "Observed", f"{on(piece['observed_at'], clock)}, when your mail server took the report in"
    yield "Matched", matched(piece["rung"])
    reasons = reasons_of(piece)
    yield "Trusted", f"{GRADES[Grade(piece['grade'])]}{': ' if reasons else ''}{'; '.join(reasons)}"
    if not piece["accepted"]:
        yield "Counted", "no: it changed no state"
    for line in quoted(piece["fields"]):
        yield "Quoted", line
    yield from of_report(piece["report"])
    for event in recipient["told"]:
        if event["id"] == piece["event_id"]:
            yield "Event", f"{event['type']}, {event['id']}{'' if event['told'] else ' (told to nobody: older mail)'}"


def matched(rung: str | None) -> str:
    """How a report was matched, in words, with the name of the rung."""
    if rung is None:
        return "with no message"
    words, source = RUNGS[Rung(rung)]
    return f"{words} [{', '.join(filter(None, (rung, source)))}]"


def quoted(fields: Facts) -> Iterator[str]:
    """The fields of a report as it has them, each on a line."""
    for name, value in fields.items():
        if name == "disposition":
            yield f"Disposition: {value['actionMode']}/{value['sendingMode']}; {value['type']}{_modifiers(fields)}"
        elif name != "modifiers":
            values = value if isinstance(value, list) else [value]
            yield from (f"{_FIELDS.get(name) or field_name(name)}: {one}" for one in values)


def _modifiers(fields: Facts) -> str:
    return "/" + ",".join(fields["modifiers"]) if "modifiers" in fields else ""


def field_name(name: str) -> str:
    """The name of a field as a report has it: "Final-Recipient" for "final_recipient"."""
    return "-".join("MTA" if word == "mta" else word.capitalize() for word in name.split("_"))


def of_report(report: Facts) -> Iterator[tuple[str, str]]:
    """What a report is, where it was seen, and its identity."""
    sender = f" from {report['from']}" if report["from"] else ""
    form = f", format {report['format']}" if report["format"] else ""
    yield "Report", f"{_REPORTS.get(report['kind'], report['kind'])}{sender}{form}"
    if report["defects"]:
        yield "Defects", ", ".join(report["defects"])
    for place in report["seen_in"]:
        yield "Seen in", place_of(place)
        if place["sha256"]:
            yield "SHA-256", f"{place['sha256']}, of the mail there"
    yield "report_id", report["report_id"]


def place_of(place: Facts) -> str:
    """Where a mail stands, so that somebody can find it."""
    where = f"account {place['account']}, folder {place['folder']}, "
    return where + (place["name"] or f"UID {place['uid']} (UIDVALIDITY {place['uidvalidity']})")


def others(reports: Sequence[Facts]) -> Iterator[Section]:
    """A section for each report that names a message and was not placed with it."""
    for report in reports:
        yield Section(f"Not counted: {report['outcome']}", labelled=tuple(of_report(report)))
