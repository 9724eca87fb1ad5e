"""An event in the few words that fit a line of a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from mdnwatch.model.text import clean

# Of what a person reads at a glance: red is lost, green arrived, yellow may change.
STYLES: Mapping[str, str] = MappingProxyType(
    {
        "replied": "bold green",
        "overdue": "yellow",
        "settled": "dim",
        "displayed": "bold green",
        "delivered": "green",
        "relayed": "cyan",
        "expanded": "cyan",
        "processed": "cyan",
        "dispatched": "cyan",
        "declined": "magenta",
        "deleted": "magenta",
        "delayed": "yellow",
        "submitted": "dim",
        "failed": "bold red",
        "suspicious": "bold yellow",
        "malformed": "yellow",
        "ambiguous": "yellow",
        "down": "bold red",
        "up": "green",
        "authenticated": "green",
        "doubtful": "yellow",
        "contradicted": "red",
    }
)

# Where the other server's words say more than the action; of a success they say "Ok".
_TROUBLE = frozenset({"failed", "delayed"})

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Older than this, a date says more than a number of days.
_RELATIVE = 7 * _DAY
# A machine's clock may be a little ahead of another's.
_JUST_NOW = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Words:
    """What a line tells; every text is safe to show. `at` is aware UTC, None where the event gives no time.

    `who` is a recipient, or the sink, source or account that the event is about; `what` a summary, or the second
    word of the event's type; `grade` is "" where the event has none.
    """

    at: datetime | None
    who: str
    what: str
    why: str
    subject: str
    grade: str


def words_of(event: Mapping[str, Any]) -> Words:
    """The words for an event as it stands in a webhook or in the status log, whatever is missing in it."""
    data = _table(event, "data")
    recipient = data.get("recipient")
    who: object
    what: object
    if "overdue" in data:
        who, what = _table(data, "recipient").get("address"), "overdue"
    elif "expired" in data:
        who, what = f"{_table(data, 'recipients').get('total')} recipient(s)", "settled"
    elif isinstance(recipient, Mapping):
        who, what = recipient.get("address"), recipient.get("summary")
    else:
        names = (recipient, data.get("sink"), data.get("source"), data.get("account"))
        who, what = next((name for name in names if name), ""), str(event.get("type", "")).rpartition(".")[2]
    return Words(
        at=time_of(event),
        who=clean(str(who or "")),
        what=clean(str(what or "")),
        why=clean(_without(str(who or ""), why_of(data))),
        subject=clean(str(_table(data, "message").get("subject") or "")),
        grade=clean(str(_table(data, "authenticity").get("grade") or "")),
    )


def _without(address: str, text: str) -> str:
    """The text without the recipient's own address, which Postfix puts before the reason and which is known."""
    return text.replace(f"<{address}>: ", "").replace(f"<{address}> ", "") if address else text


def time_of(event: Mapping[str, Any]) -> datetime | None:
    """When the event came about, aware UTC."""
    try:
        time = datetime.fromisoformat(str(event.get("timestamp")))
    except ValueError:
        return None
    return time.astimezone(UTC)


def why_of(data: Mapping[str, Any]) -> str:
    """What an event rests on: the server's words, the receipt's sender, or what speaks against a report."""
    evidence = _table(data, "evidence")
    if evidence:
        return _of_evidence(evidence)
    if "overdue" in data:
        return f"nothing heard for {how_long(_table(data, 'overdue').get('after_seconds'))} after it was sent"
    if "expired" in data:
        counts = [f"{n} {word}" for word, n in _table(data, "recipients").items() if word != "total"]
        return ("its watch is over: " if data["expired"] else "") + ", ".join(counts)
    reasons = _table(data, "authenticity").get("reasons")
    if isinstance(reasons, list):
        return ", ".join(str(reason.get("text") or "") for reason in reasons if isinstance(reason, Mapping))
    candidates = data.get("candidates")
    if isinstance(candidates, list):
        return f"it could be about any of {len(candidates)} messages"
    return str(data.get("reason") or data.get("summary") or "")


def how_long(seconds: object) -> str:
    """A number of seconds in words, as "3 days"."""
    if not isinstance(seconds, int):
        return "some time"
    for unit, length in (("days", _DAY), ("hours", _HOUR), ("minutes", _MINUTE)):
        if seconds >= 2 * length.total_seconds():
            return f"{seconds / length.total_seconds():.3g} {unit}"
    return f"{seconds} seconds"


def _of_evidence(evidence: Mapping[str, Any]) -> str:
    fields = _table(evidence, "fields")
    kind = str(evidence.get("kind") or "")
    diagnostic = fields.get("diagnostic_code")
    if diagnostic and kind in _TROUBLE:
        # RFC 3464 §2.3.6: the type before the semicolon is for programs.
        words = str(diagnostic).partition(";")[2].strip() or str(diagnostic)
    elif "disposition" in fields:
        verb = "refused by" if evidence.get("reason") == "refused" else "receipt of"
        words = f"{verb} {program_of(fields.get('reportingUA'))}"
    else:
        said = str(fields.get("action") or kind).replace("_", " ")
        words = " ".join(filter(None, (said, _by(fields.get("reporting_mta")))))
    member, host = evidence.get("member"), evidence.get("handed_over_to")
    return "".join([f"{member}: " if member else "", words, f" (handed over to {host})" if host else ""])


def program_of(reporting_ua: object) -> str:
    """The product that a Reporting-UA names; in front may stand the name of the machine (RFC 8098 §3.2.1)."""
    name, _, product = str(reporting_ua or "").partition(";")
    return product.strip() or name.strip() or "the recipient's mail program"


def _by(reporting_mta: object) -> str:
    host = str(reporting_mta or "").partition(";")[2].strip()
    return f"by {host}" if host else ""


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def when(time: datetime | None, now: datetime | None) -> str:
    """A time in at most 10 characters: how long ago it was, the day if that is long; without `now` the time of day.

    Both are aware; days and hours are those of the machine.
    """
    if time is None:
        return "?"
    if now is None:
        return f"{time.astimezone():%H:%M:%S}"
    past = now - time
    if past >= _RELATIVE or past < -_JUST_NOW:
        return f"{time.astimezone():%Y-%m-%d}"
    if past < _JUST_NOW:
        return "now"
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if past >= length:
            return f"{past // length} {unit} ago"
    return f"{past.seconds} s ago"


def moment(time: datetime | None, now: datetime) -> str:
    """A time as the machine's clock shows it, and how long ago that was; both are aware."""
    if time is None:
        return "at an unknown time"
    age = when(time, now)
    shown = f"{time.astimezone():%Y-%m-%d %H:%M:%S}"
    return shown if age in shown else f"{shown} ({age})"
