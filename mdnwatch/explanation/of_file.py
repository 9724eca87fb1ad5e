"""What a mail that somebody shows is: a report and what became of it, or why it is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from mdnwatch.explanation import details, verdict
from mdnwatch.explanation.say import Clock, Facts, Say, Section, counted, listed, on
from mdnwatch.model.text import clean

_KINDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "mdn": ("a receipt: what a mail program says of a message that it got (MDN)", "RFC 8098 §3"),
        "dsn": ("a delivery report: what a mail server says of a message (DSN)", "RFC 3464 §2"),
        "arf": ("a feedback report: what somebody thinks of a message (ARF)", "RFC 5965 §2"),
        "reply": ("an answer to a message, by a person", "RFC 5322 §3.6.4"),
        "auto-reply": ("an answer to a message, by a machine", "RFC 3834 §2"),
    }
)

# Why a mail is no report, each with where that stands. "{media_type}" is what the mail declares.
WHY_NOT: Mapping[str, Say] = MappingProxyType(
    {
        say.code: say
        for say in (
            Say(
                "declares",
                "It declares itself {media_type}. A report declares multipart/report with the type of the report.",
                "RFC 6522 §3",
            ),
            Say(
                "no-report-part",
                "No part of it is message/disposition-notification (a receipt), message/delivery-status (a delivery"
                " report) or message/feedback-report (a complaint).",
                "RFC 8098 §3",
            ),
            Say(
                "no-mail-system",
                "It was not looked at for the words of a bounce that follows no standard: neither its sender nor its"
                " envelope is that of a mail system, so what it says of a delivery is somebody's words about one.",
            ),
            Say(
                "no-form",
                "A mail system may have sent it, but it has none of the forms of bounces and receipts that mdnwatch"
                " knows,"
                " nor words that tell of a failed delivery.",
            ),
            Say(
                "answers-nothing",
                "It is no answer either: it has neither In-Reply-To nor References.",
                "RFC 5322 §3.6.4",
            ),
            Say(
                "as2",
                "It is a receipt of an AS2 exchange of business data, which mdnwatch leaves alone.",
                "RFC 4130 §7",
            ),
            Say(
                "own-notice",
                "It is about a notice that mdnwatch itself sent, and must never cause another.",
            ),
            Say(
                "written-by-us",
                "It comes from {sender}, an address of an account that is watched: your own mail answers nothing.",
            ),
            Say(
                "via-list",
                "A mailing list passed it on to everybody, so it is no answer to you alone.",
            ),
            Say("no-sender", "It names no sender, so it can tell of nobody."),
        )
    }
)


def verdicts(facts: Facts, clock: Clock) -> Iterator[Section]:
    """What a mail as a file is, and what is known of it."""
    read, found, own = facts["read"], facts.get("known"), facts.get("own") or []
    if own:
        text = f"It is no report, but a message of yours: {own[0]['message_id']}. This is what is known of it:"
        yield Section(clean(facts["file"]), (Say("own-message", text),), style="bold")
        yield from _message(own[0], clock)
        return
    yield Section(clean(facts["file"]), tuple(_what(read, clock)), style="bold")
    if found:
        yield from known(found, clock)
    elif facts.get("choice") or read["malformed"]:
        yield Section("Not known to mdnwatch", tuple(_would(facts, clock)))


def detailed(facts: Facts, clock: Clock) -> Iterator[Section]:
    """What a report as a file names and tells."""
    if facts["read"]["report_id"] and not facts.get("own"):
        yield Section("What it says", labelled=tuple(_read(facts, clock)))


def _what(read: Facts, clock: Clock) -> Iterator[Say]:
    if read["malformed"]:
        yield Say("malformed", f"It cannot be used as a report. {read['malformed']}", "RFC 6522 §3")
    elif read["kind"] in _KINDS:
        words, source = _KINDS[read["kind"]]
        form = f", in the format {read['format']}" if read["format"] not in {None, "reply"} else ""
        dated = f", dated {on(read['dated'], clock)}" if read["dated"] else ""
        sender = read["from"] or "nobody that it names"
        yield Say(read["kind"], f"It is {words}{form}. It comes from {sender}{dated}.", source)
    else:
        yield Say("ordinary", "It is no report, but ordinary mail. Why:")
    for code in read["why_not"]:
        say = WHY_NOT[code]
        yield say._replace(text=say.text.format(media_type=read["media_type"], sender=read["from"]))


def known(report: Facts, clock: Clock) -> Iterator[Section]:
    """What became of a report that is known."""
    if report["outcome"] == "held":
        text = (
            "mdnwatch has seen it. It answers no message that is known: it is held for a while as keyed hashes, without"
            " address or subject, in case that message becomes known."
        )
        yield Section("Known", (Say("held", text),))
    elif "message" in report:
        message = report["message"]
        name = f'"{clean(message["subject"])}" {message["message_id"]}'
        text = f"mdnwatch knows it, and matched it with {name}: {details.matched(report['rung'])}."
        yield Section("Known", (Say("known", text),))
        yield from _message(message, clock)
    else:
        yield Section("Known", (unplaced(report, clock),))


def _message(message: Facts, clock: Clock) -> Iterator[Section]:
    for recipient in message["recipients"]:
        yield verdict.section(recipient, message, clock)


def unplaced(report: Facts, clock: Clock) -> Say:
    """Why a known report changes no state."""
    seen = f"first seen {on(report['first_seen'], clock)}"
    if report["outcome"] == "malformed":
        text = f"A mail ({seen}) declares itself a report and holds none that can be used: {report['malformed']}"
        return Say("malformed", text, "RFC 6522 §3")
    if report["outcome"] == "ambiguous":
        names = listed([one["message_id"] for one in report.get("candidates", ())] or ["several messages"])
        text = (
            f"A report ({seen}) {_tells(report)}, but could be about any of {names}. Nothing is attributed by"
            " guessing, so it changed no state."
        )
        return Say("ambiguous", text)
    if report["outcome"] == "matched":
        candidates = report.get("candidates", ())
        if not candidates:
            text = f"A report ({seen}) was matched with a message of an account that is not for you to see."
            return Say("hidden-message", text)
        text = (
            f"A report ({seen}) {_tells(report)}, and was matched with {candidates[0]['message_id']}, by a better sign."
        )
        return Say("other-message", text)
    text = (
        f"A report ({seen}) {_tells(report)} and waits for its message, of which no copy was found in a Sent folder"
        " yet. It counts as soon as that appears."
    )
    return Say("waiting", text)


def _tells(report: Facts) -> str:
    pieces = report.get("pieces", ())
    said = [f"{one['kind'].replace('_', ' ')} for {one['recipient'] or 'nobody in particular'}" for one in pieces[:3]]
    more = f" and {counted(len(pieces) - 3, 'other')}" if len(pieces) > 3 else ""  # noqa: PLR2004 - those that are named
    return f"tells {', '.join(said)}{more}" if said else "tells nothing that can be used"


def _would(facts: Facts, clock: Clock) -> Iterator[Say]:
    """What would become of a report that is not known, if it came to a mailbox that is watched."""
    text = f"mdnwatch has not seen this mail until {on(facts['now'], clock)}; looking at it here changes nothing."
    yield Say("unknown-report", text)
    choice = facts.get("choice")
    if choice is None:
        return
    names = [one["message_id"] for one in choice["candidates"]] or ["messages of another account"]
    if choice["would"] == "matched":
        yield Say("would-match", f"It would be matched with {names[0]}: {details.matched(choice['by'])}.")
    elif choice["would"] == "ambiguous":
        text = f"It could be about any of {listed(names)}: nothing would be attributed by guessing."
        yield Say("would-be-ambiguous", text)
    elif choice["went_elsewhere"]:
        text = (
            f"It answers a message of yours that did not go to {facts['read']['from']}. Nobody becomes a recipient by"
            " answering, so it would tell nothing."
        )
        yield Say("answers-elsewhere", text)
    elif choice["keys"]:
        text = "None of the identifiers that it names belongs to a message that is known: it would wait for that."
        yield Say("would-wait", text)
    else:
        yield Say("names-nothing", "It names no message at all, so that it can be matched with none.")


def _read(facts: Facts, clock: Clock) -> Iterator[tuple[str, str]]:
    """What a report names and tells."""
    for piece in facts["read"]["pieces"]:
        when = f", {on(piece['claimed_at'], clock)}" if piece["claimed_at"] else ""
        yield "Tells", f"{piece['kind'].replace('_', ' ')} for {piece['recipient'] or 'nobody in particular'}{when}"
        for line in details.quoted(piece["fields"]):
            yield "Quoted", line
    for key in facts["read"]["keys"]:
        yield "Names", f"{key['key'][2:]} [{key['rung']}]"
    if facts["read"]["defects"]:
        yield "Defects", ", ".join(facts["read"]["defects"])
    yield "report_id", facts["read"]["report_id"]
