"""The status as lines for people: ages in words, and colours on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from mdnwatch.event_lines import printer
from mdnwatch.event_words import STYLES, Words, moment, when
from mdnwatch.model.authenticity import REASONS

BAR_WIDTH = 30  # characters

# Of a report's fields those that tell a person why; all of them stand in the JSON.
TELLING_FIELDS = ("status", "diagnostic_code", "will_retry_until", "reportingUA", "error")

Facts = Mapping[str, Any]
# Texts with rich's name of a style, or "".
Line = tuple[tuple[str, str], ...]


def show(facts: Facts, now: datetime, out: TextIO) -> None:
    """Write what a status tells; `now` is aware UTC."""
    _write(lines(facts, now), out)
    if last := facts.get("last_events"):
        _write([_heading("last events")], out)
        line = printer(out)
        for event in last:
            words = _words(event)
            line(words, when(words.at, now))


def _write(some: Iterator[Line] | Sequence[Line], out: TextIO) -> None:
    if not out.isatty():
        out.writelines("".join(text for text, _ in line) + "\n" for line in some)
        return
    from rich.console import Console  # noqa: PLC0415 - a pipe needs no rich, and it takes long to load
    from rich.text import Text  # noqa: PLC0415 - the same

    console = Console(file=out, highlight=False)
    for line in some:
        console.print(Text.assemble(*line), soft_wrap=True)


def lines(facts: Facts, now: datetime) -> Iterator[Line]:
    """What a status tells, but for the last events; `now` is aware UTC."""
    if "note" in facts:
        yield _plain(str(facts["note"]))
    if "messages" in facts:
        for message in facts["messages"]:
            yield from _message(message, now)
        return
    for problem in facts.get("reload_problems", ()):
        yield ("the changed configuration was refused, the old one goes on: ", "bold red"), (problem, "")
    for account in facts.get("accounts", ()):
        yield from _account(account, now)
    for sink in facts["sinks"]:
        yield _sink(sink, now)
    reports = ", ".join(f"{count:,} {outcome}" for outcome, count in facts["reports"].items()) or "none yet"
    yield _plain(f"sent messages known: {facts['sent_messages']:,}; reports: {reports}")


def progress(left: int, total: int, seconds_left: float | None) -> str:
    """A bar of older mail, and how long the rest takes at the rate so far."""
    filled = BAR_WIDTH * (total - left) // max(total, 1)
    bar = "█" * filled + "░" * (BAR_WIDTH - filled)
    rest = "" if seconds_left is None else f", about {lasting(seconds_left)} more"
    return f"older mail {bar} {total - left:,} of {total:,} messages{rest}"


def lasting(seconds: float) -> str:
    """A length of time in words, such as "3 minutes"; from two of a unit on, in that unit."""
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{round(seconds / unit)} {name}"
    count = max(round(seconds), 1)
    return f"{count} second" + ("s" if count > 1 else "")


def _account(account: Facts, now: datetime) -> Iterator[Line]:
    """The state, and the proof of life of the account and of each of its folders."""
    state = account["state"]
    began, answer = _time(account.get("since")), _time(account.get("last_answer"))
    words = f" for {_age(began, now)}" if began else ""
    if account["cause"]:
        words += f": {account['cause']}"
    yield (
        *_marked("account", account["name"], state),
        (words, ""),
        (f"; last answer {when(answer, now)}" if answer else "", "dim"),
    )
    for folder in account.get("folders", ()):
        yield _plain(f"    {folder['name']}: {folder['note'] or _agreement(_time(folder['last_agreement']), now)}")
        if folder["backfill"]:
            yield ("    ", ""), (progress(**folder["backfill"]), "cyan")


def _agreement(at: datetime | None, now: datetime) -> str:
    return "not yet looked at" if at is None else f"everything handled, as the server said {when(at, now)}"


def _sink(sink: Facts, now: datetime) -> Line:
    words = "nothing waits"
    if oldest := _time(sink["oldest"]):
        words = f"{sink['waiting']:,} waiting, the oldest for {_age(oldest, now)}"
    if probe := _time(sink.get("next_probe_at")) if sink["state"] == "down" else None:
        words += f", tried again in {lasting((probe - now).total_seconds())}"
    if sink["reason"]:
        words += f" ({sink['reason']})"
    since = _time(sink.get("down_since"))
    return (
        *_marked("sink", sink["name"], sink["state"]),
        (f" for {_age(since, now)}" if since else "", ""),
        (f", {words}", ""),
    )


def _marked(kind: str, name: str, state: str) -> Line:
    style = STYLES.get(state, "bold red" if state == "disabled" else "yellow")
    return ("● ", style), (f"{kind} {name}: ", ""), (state, style)


def _message(message: Facts, now: datetime) -> Iterator[Line]:
    yield (message["message_id"], "bold"), (f"  {message['subject']}", "italic")
    sent = moment(_time(message["sent_at"]), now) if message["sent_at"] else "at an unknown time"
    asked = _asked(message["requested"])
    yield _plain(f"  sent {sent} by {message['from']}, account {message['account']}; {asked}")
    for recipient in message["recipients"]:
        yield from _recipient(recipient, now)
    if message["settled"]:
        yield _plain("  settled: nothing more is awaited")


def _asked(requested: Facts) -> str:
    """What was asked of each recipient, without which silence cannot be read."""
    asked = ["a receipt"] if requested["mdn"] else []
    if requested["dsn"]:
        asked.append(f"delivery reports ({', '.join(requested['dsn'])})")
    return f"asked for: {' and '.join(asked)}" if asked else "nothing was asked for, as far as the copy shows"


def _recipient(recipient: Facts, now: datetime) -> Iterator[Line]:
    beside = [*recipient["flags"], *([] if recipient["addressed"] else ["never addressed"])]
    if "return_date" in recipient:
        beside.append(f"away until {recipient['return_date']}")
    # Evidence that is contradicted stands there, and is none.
    summary = "no evidence" if recipient["summary"] == "unknown" else recipient["summary"]
    style = STYLES.get(summary, "dim")
    flags = f" ({', '.join(beside)})" if beside else ""
    yield (f"  {recipient['address']}: ", "bold"), (summary, style), (flags, "yellow")
    if recipient["evidence"]:
        yield _plain(f"    delivery {recipient['delivery']}, reading {recipient['reading']}")
    by_kind: dict[str, list[Facts]] = {}
    for piece in sorted(recipient["evidence"], key=_claimed):
        by_kind.setdefault(piece["kind"], []).append(piece)
    for kind, pieces in by_kind.items():
        times = "; ".join((_span(pieces, "claimed_at", "claimed", now), _span(pieces, "observed_at", "observed", now)))
        yield ("    ", ""), (kind, STYLES.get(kind, "")), (f": {times}", "")
        for piece in pieces:
            yield from _piece(piece)


def _claimed(piece: Facts) -> str:
    return str(piece["claimed_at"] or piece["observed_at"])


def _piece(piece: Facts) -> Iterator[Line]:
    reasons = "; ".join(REASONS[code][1] if code in REASONS else code for code in piece["grade_reasons"])
    grade = piece["grade"]
    yield (
        (f"      matched by {piece['rung']}, ", ""),
        (grade, STYLES.get(grade, "")),
        (f" ({reasons})" if reasons else "", ""),
    )
    yield from (
        _plain(f"        {name}: {piece['fields'][name]}") for name in TELLING_FIELDS if name in piece["fields"]
    )


def _span(pieces: Sequence[Facts], key: str, verb: str, now: datetime) -> str:
    """When something was claimed, or observed: once, or for the first and for the last time."""
    times = sorted(time for piece in pieces if (time := _time(piece[key])) is not None)
    if not times:
        return f"{verb} for no time"
    first, last = (moment(time, now) for time in (times[0], times[-1]))
    return f"{verb} {first}" if len(times) == 1 else f"{verb} {len(times)} times, first {first}, last {last}"


def _age(since: datetime, now: datetime) -> str:
    return lasting((now - since).total_seconds())


def _words(event: Facts) -> Words:
    return Words(_time(event["at"]), *(event[key] or "" for key in ("about", "what", "why", "subject", "grade")))


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _plain(text: str) -> Line:
    return ((text, ""),)


def _heading(text: str) -> Line:
    return ((text, "bold"),)
