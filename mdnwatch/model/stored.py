"""What is kept of a report, and its form on disk: enough to correlate, grade and fold again without the mail itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import orjson

from mdnwatch.model.authenticity import Checks, Dkim, Dmarc, Provenance, Smime
from mdnwatch.model.correlation import LookupKey, Rung, lookup_keys
from mdnwatch.model.evidence import Evidence, Kind
from mdnwatch.model.report import HEURISTIC, Dsn, FeedbackReport, Mdn, Reply, Report
from mdnwatch.model.state import RecipientState, Times
from mdnwatch.model.token import NO_KEYS, Keyring, bears_wrong

# The kind of a report that is an answer.
REPLY = "reply"

# Made once: `json.dumps` with these settings makes one at each call.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report without its mail. `kind` is "mdn", "dsn", "arf" or "reply"; `account` is where it was first seen.

    `observed_at` is the earliest time at which a mail server took a sighting in. `announce` is False where the
    report was backfilled.
    """

    id: str
    kind: str
    format: str
    account: str
    observed_at: datetime
    announce: bool
    keys: tuple[LookupKey, ...]
    provenance: Provenance
    defects: tuple[str, ...] = ()
    original_date: datetime | None = None  # of the message that it is about, as far as it says so


def stored(  # noqa: PLR0913 - what is known of a report beside itself
    report: Report,
    report_id: str,
    account: str,
    observed_at: datetime,
    *,
    announce: bool,
    token_keys: Keyring = NO_KEYS,
) -> StoredReport:
    """What is kept of a report; its tokens are verified with `token_keys`."""
    return StoredReport(
        id=report_id,
        kind=_kind(report),
        format=report.format,
        account=account,
        observed_at=observed_at,
        announce=announce,
        keys=lookup_keys(report, token_keys),
        provenance=Provenance(
            is_mdn=isinstance(report, Mdn),
            from_address=report.head.from_address,
            date=report.head.date,
            reporting_mta=_reporting_mta(report),
            returns_something=report.returned is not None,
            is_reply=isinstance(report, Reply),
            wrong_token=bears_wrong(report, token_keys),
            heuristic=HEURISTIC in report.defects,
        ),
        defects=report.defects,
        original_date=_original_date(report),
    )


def _original_date(report: Report) -> datetime | None:
    """When the original was sent or arrived, as the report says."""
    if report.returned is not None and report.returned.date is not None:
        return report.returned.date
    return report.arrival_date if isinstance(report, Dsn | FeedbackReport) else None


def _reporting_mta(report: Report) -> str | None:
    mta = report.reporting_mta if isinstance(report, Dsn) else None
    return None if mta is None else mta.value


def _kind(report: Report) -> str:
    if isinstance(report, Mdn):
        return "mdn"
    if isinstance(report, FeedbackReport):
        return "arf"
    return REPLY if isinstance(report, Reply) else "dsn"


def to_ms(time: datetime | None) -> int | None:
    """Milliseconds since 1970, UTC, of an aware time."""
    return None if time is None else round(time.timestamp() * 1000)


def from_ms(ms: int | None) -> datetime | None:
    """The aware UTC time of milliseconds since 1970."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def dump(value: object) -> str:
    """JSON in as few bytes as it takes; non-ASCII characters stay as they are."""
    try:
        return orjson.dumps(value).decode("utf-8")
    except TypeError:
        # What orjson does not write: numbers beyond 64 bits in a caller's metadata, and a lone surrogate of undecodable
        # mail, which cannot be written as UTF-8.
        return _ENCODER.encode(value).encode("utf-8", "replace").decode("utf-8")


def report_content(report: StoredReport) -> str:
    """The JSON kept in report.content."""
    of = report.provenance
    return dump(
        {
            "format": report.format,
            "keys": [[key.rung.value, key.key] for key in report.keys],
            "from": of.from_address,
            "date": to_ms(of.date),
            "reporting_mta": of.reporting_mta,
            "returned": of.returns_something,
            "defects": list(report.defects),
            **({"original_date": to_ms(report.original_date)} if report.original_date else {}),
            **_checks_content(of.checks),
            **({"wrong_token": True} if of.wrong_token else {}),
        }
    )


def _checks_content(checks: Checks) -> dict[str, Any]:
    if checks == Checks():
        return {}
    return {"checks": [checks.dkim.value, checks.dmarc.value, checks.smime.value, list(checks.smime_addresses)]}


def _checks_from(data: list[Any] | None) -> Checks:
    if data is None:
        return Checks()
    dkim, dmarc, smime, addresses = data
    return Checks(Dkim(dkim), Dmarc(dmarc), Smime(smime), tuple(addresses))


def report_from(row: tuple[str, str, str, int, int, str]) -> StoredReport:
    """The report of a row: id, kind, account, observed_at, announce, content."""
    report_id, kind, account, observed_ms, announce, content = row
    data = orjson.loads(content)
    return StoredReport(
        id=report_id,
        kind=kind,
        format=data["format"],
        account=account,
        observed_at=_time(observed_ms),
        announce=bool(announce),
        keys=tuple(LookupKey(Rung(rung), key) for rung, key in data["keys"]),
        provenance=Provenance(
            is_mdn=kind == "mdn",
            from_address=data["from"],
            date=from_ms(data["date"]),
            reporting_mta=data["reporting_mta"],
            returns_something=data["returned"],
            is_reply=kind == REPLY,
            wrong_token=data.get("wrong_token", False),
            heuristic=HEURISTIC in data["defects"],
            checks=_checks_from(data.get("checks")),
        ),
        defects=tuple(data["defects"]),
        original_date=from_ms(data.get("original_date")),
    )


def evidence_content(piece: Evidence) -> str:
    """The JSON kept in evidence.content; `observed_at` stands in the report's row."""
    data: dict[str, Any] = {
        "kind": piece.kind.value,
        "original": list(piece.original),
        "final": list(piece.final),
        "claimed_at": to_ms(piece.claimed_at),
        "reason": piece.reason,
        "member": piece.member,
        "handed_over_to": piece.handed_over_to,
        "warnings": list(piece.warnings),
        "retry_until": to_ms(piece.retry_until),
        "return_date": piece.return_date.isoformat() if piece.return_date else None,
        "details": dict(piece.details),
    }
    return dump({name: value for name, value in data.items() if value not in (None, [], {})})


def evidence_from(report_id: str, block: int, observed_ms: int, content: str) -> Evidence:
    """The evidence of a row; `observed_ms` is its report's."""
    data = orjson.loads(content)
    return Evidence(
        report_id=report_id,
        block=block,
        kind=Kind(data["kind"]),
        original=tuple(data.get("original", ())),
        final=tuple(data.get("final", ())),
        claimed_at=from_ms(data.get("claimed_at")),
        observed_at=_time(observed_ms),
        reason=data.get("reason"),
        member=data.get("member"),
        handed_over_to=data.get("handed_over_to"),
        warnings=tuple(data.get("warnings", ())),
        retry_until=from_ms(data.get("retry_until")),
        return_date=_date(data.get("return_date")),
        details=data.get("details", {}),
    )


def state_content(state: RecipientState) -> str:
    """The JSON kept in recipient.state."""
    data: dict[str, Any] = {
        "times": {
            kind.value: [to_ms(t.first_claimed), to_ms(t.last_claimed), to_ms(t.first_observed), to_ms(t.last_observed)]
            for kind, t in sorted(state.times.items())
        },
        "failed": state.failed,
        "members": list(state.members),
        "reasons": list(state.reasons),
        "handed_over_to": list(state.handed_over_to),
        "warnings": list(state.warnings),
        "retry_until": to_ms(state.retry_until),
        "return_date": state.return_date.isoformat() if state.return_date else None,
    }
    return dump({name: value for name, value in data.items() if value})


def state_from(content: str | None) -> RecipientState:
    """The state of a row; a recipient without evidence has none."""
    if content is None:
        return RecipientState()
    data = orjson.loads(content)
    return RecipientState(
        times={
            Kind(kind): Times(from_ms(a), from_ms(b), _time(c), _time(d))
            for kind, (a, b, c, d) in data.get("times", {}).items()
        },
        failed=data.get("failed", False),
        members=tuple(data.get("members", ())),
        reasons=tuple(data.get("reasons", ())),
        handed_over_to=tuple(data.get("handed_over_to", ())),
        warnings=tuple(data.get("warnings", ())),
        retry_until=from_ms(data.get("retry_until")),
        return_date=_date(data.get("return_date")),
    )


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
