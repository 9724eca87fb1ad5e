"""Reports, their evidence and where they were seen; plain functions over a connection, called in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import orjson

from mdnwatch.model.authenticity import Grade, Graded
from mdnwatch.model.evidence import Evidence
from mdnwatch.model.received import Place
from mdnwatch.model.stored import (
    StoredReport,
    dump,
    evidence_content,
    evidence_from,
    report_content,
    report_from,
    to_ms,
)
from mdnwatch.store.later import Writes

_REPORT_COLUMNS = "id, kind, account, observed_at, announce, content"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a piece of evidence was placed: about whom, and how far it is trusted. All None: nowhere (yet)."""

    message: int | None = None
    recipient: str | None = None
    graded: Graded | None = None


class Matched(NamedTuple):
    """What became of a report: matched, waiting or ambiguous; if it was matched, by which rung to which message."""

    outcome: str
    message: int | None = None
    rung: str | None = None


def insert_report(db: sqlite3.Connection, report: StoredReport, matched: Matched, now: datetime) -> bool:
    """Keep a report without its keys, and what became of it; False where it is known already."""
    cursor = db.execute(
        "INSERT INTO report (id, kind, account, announce, first_seen, observed_at, outcome, message, rung, content,"
        " tell_unmatched) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (
            report.id,
            report.kind,
            report.account,
            int(report.announce),
            to_ms(now),
            to_ms(report.observed_at),
            *matched,
            report_content(report),
            int(report.announce and matched.outcome == "waiting"),
        ),
    )
    return cursor.rowcount == 1


def add_keys(db: Writes, report: StoredReport) -> None:
    """Keep the keys of a kept report, of which some may be known."""
    for key in dict.fromkeys(key.key for key in report.keys):
        db.execute("INSERT INTO report_key (key, report) VALUES (?, ?) ON CONFLICT DO NOTHING", (key, report.id))


def replace_keys(db: sqlite3.Connection, report: StoredReport) -> None:
    """Keep the keys of a known report, of which there may be more than before."""
    replace_content(db, report)
    add_keys(db, report)


def drop_keys(db: sqlite3.Connection, report_id: str, keys: Iterable[str]) -> None:
    """Let a known report name these no more."""
    report, gone = load_report(db, report_id), frozenset(keys)
    replace_content(db, replace(report, keys=tuple(key for key in report.keys if key.key not in gone)))
    db.executemany("DELETE FROM report_key WHERE report = ? AND key = ?", [(report_id, key) for key in gone])


def replace_content(db: sqlite3.Connection, report: StoredReport) -> None:
    """Keep what is known of a known report now."""
    db.execute("UPDATE report SET content = ? WHERE id = ?", (report_content(report), report.id))


def is_kept(db: sqlite3.Connection, report_id: str) -> bool:
    """Whether there is a report of this id."""
    return db.execute("SELECT 1 FROM report WHERE id = ?", (report_id,)).fetchone() is not None


def is_read(db: sqlite3.Connection, report_id: str) -> bool:
    """Whether there is a report of this id that could be used."""
    sql = "SELECT 1 FROM report WHERE id = ? AND outcome <> 'malformed'"
    return db.execute(sql, (report_id,)).fetchone() is not None


def insert_malformed(db: sqlite3.Connection, report_id: str, place: Place, reason: str, now: datetime) -> bool:
    """Keep that a report could not be used, and why; False where it is known already."""
    cursor = db.execute(
        "INSERT INTO report (id, kind, account, announce, first_seen, observed_at, outcome, content)"
        " VALUES (?, 'malformed', ?, 0, ?, ?, 'malformed', ?) ON CONFLICT (id) DO NOTHING",
        (report_id, place.account, to_ms(now), to_ms(now), dump({"reason": reason})),
    )
    return cursor.rowcount == 1


def add_sighting(db: Writes, report_id: str, place: Place, sha256: str | None = None) -> None:
    """Keep where a report was seen, and the SHA-256 of the mail there, where all of it was fetched."""
    db.execute(
        "INSERT INTO sighting (report, account, folder, uidvalidity, uid, name, sha256) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (report_id, place.account, place.folder, place.uidvalidity, place.uid, place.name, sha256),
    )


def lower_observed_at(db: sqlite3.Connection, report_id: str, observed_at: datetime) -> bool:
    """Keep the earliest observation; True where this one is earlier than those known."""
    ms = to_ms(observed_at)
    cursor = db.execute("UPDATE report SET observed_at = ? WHERE id = ? AND observed_at > ?", (ms, report_id, ms))
    return cursor.rowcount == 1


def load_report(db: sqlite3.Connection, report_id: str) -> StoredReport:
    """The report of an id that is known to exist, and is none of the malformed."""
    sql = f"SELECT {_REPORT_COLUMNS} FROM report WHERE id = ?"  # noqa: S608 - constants
    return report_from(db.execute(sql, (report_id,)).fetchone())


def placed_reports(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """The id and the outcome of every report that was read, in the order of their coming; they may change meanwhile."""
    last, rows = -1, [(0, "", "")]
    while rows:
        rows = db.execute(
            "SELECT rowid, id, outcome FROM report WHERE rowid > ? AND kind <> 'malformed' ORDER BY rowid LIMIT 1000",
            (last,),
        ).fetchall()
        for last, report_id, outcome in rows:  # noqa: B007 - the last one is where to go on
            yield report_id, outcome


def reports_with_keys(db: sqlite3.Connection, keys: Iterable[str]) -> list[str]:
    """The ids of the reports that name one of the keys, in the order in which they were first seen."""
    found: dict[str, tuple[int, str]] = {}
    for key in keys:
        rows = db.execute(
            "SELECT report.first_seen, report.id FROM report_key JOIN report ON report.id = report_key.report"
            " WHERE report_key.key = ?",
            (key,),
        )
        found.update({report: (first_seen, report) for first_seen, report in rows})
    return sorted(found, key=found.__getitem__)


def set_outcome(db: sqlite3.Connection, report_id: str, matched: Matched) -> bool:
    """Keep what became of a report; True where that is new."""
    cursor = db.execute(
        # Once matched, it is never told of as one without a message.
        "UPDATE report SET outcome = ?, message = ?, rung = ?, tell_unmatched = 0"
        " WHERE id = ? AND (outcome <> ? OR message IS NOT ? OR rung IS NOT ?)",
        (*matched, report_id, *matched),
    )
    return cursor.rowcount == 1


def is_waiting(db: sqlite3.Connection, report_id: str) -> bool:
    """Whether a report has not found its sent message yet."""
    return db.execute("SELECT 1 FROM report WHERE id = ? AND outcome = 'waiting'", (report_id,)).fetchone() is not None


def load_evidence(db: sqlite3.Connection, report_id: str) -> Iterator[tuple[Evidence, Placement]]:
    """The evidence of a report with its placements, in order of its blocks."""
    rows = db.execute(
        "SELECT evidence.report, block, observed_at, evidence.content, evidence.message, recipient, grade, reasons"
        " FROM evidence JOIN report ON report.id = evidence.report WHERE evidence.report = ? ORDER BY block",
        (report_id,),
    ).fetchall()
    for row in rows:
        yield evidence_from(*row[:4]), Placement(row[4], row[5], _graded(row[6], row[7]))


def evidence_of(db: sqlite3.Connection, message: int, recipient: str) -> Iterator[tuple[Evidence, Graded]]:
    """All evidence placed with a recipient, contradicted or not; one at a time, since it may be much."""
    rows = db.execute(
        "SELECT evidence.report, block, observed_at, evidence.content, grade, reasons"
        " FROM evidence JOIN report ON report.id = evidence.report"
        " WHERE evidence.message = ? AND recipient = ?",
        (message, recipient),
    )
    for row in rows:
        graded = _graded(row[4], row[5])
        if graded is not None:
            yield evidence_from(*row[:4]), graded


def _graded(grade: str | None, reasons: str) -> Graded | None:
    return None if grade is None else Graded(Grade(grade), tuple(orjson.loads(reasons)))


def insert_evidence(db: Writes, piece: Evidence, placement: Placement) -> None:
    """Keep a new piece of evidence and where it belongs; its report is kept already."""
    db.execute(
        "INSERT INTO evidence (message, recipient, grade, reasons, report, block, content)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*_placed(placement), piece.report_id, piece.block, evidence_content(piece)),
    )


def place_evidence(db: sqlite3.Connection, piece: Evidence, placement: Placement) -> None:
    """Keep where a known piece of evidence belongs now."""
    db.execute(
        "UPDATE evidence SET message = ?, recipient = ?, grade = ?, reasons = ? WHERE report = ? AND block = ?",
        (*_placed(placement), piece.report_id, piece.block),
    )


def delete_evidence(db: sqlite3.Connection, piece: Evidence) -> None:
    """Forget a piece of evidence."""
    db.execute("DELETE FROM evidence WHERE report = ? AND block = ?", (piece.report_id, piece.block))


def delete_if_empty(db: sqlite3.Connection, report_id: str) -> bool:
    """Forget a report of which no evidence is left; whether it was one."""
    sql = "DELETE FROM report WHERE id = ? AND NOT EXISTS (SELECT 1 FROM evidence WHERE report = report.id)"
    return db.execute(sql, (report_id,)).rowcount == 1


def _placed(placement: Placement) -> tuple[int | None, str | None, str | None, str]:
    graded = placement.graded
    if graded is None:
        return placement.message, placement.recipient, None, "[]"
    return placement.message, placement.recipient, graded.grade.value, dump(list(graded.reasons))


def accounts_with_waiting(db: sqlite3.Connection) -> list[str]:
    """The accounts of which reports wait, those included that are no longer configured."""
    rows = db.execute("SELECT DISTINCT account FROM report WHERE outcome = 'waiting' ORDER BY account")
    return [account for (account,) in rows]


def count_waiting(db: sqlite3.Connection) -> dict[str, int]:
    """How many reports of each account have not found their sent message; one pass over their index."""
    return dict(db.execute("SELECT account, count(*) FROM report WHERE outcome = 'waiting' GROUP BY account"))


def drop_oldest_waiting(db: sqlite3.Connection, account: str, keep: int, older_than: datetime) -> int:
    """Drop what has waited too long for its message, and the oldest of what is too much; how many were dropped."""
    cursor = db.execute(
        "DELETE FROM report WHERE outcome = 'waiting' AND account = ? AND (first_seen < ? OR id IN ("
        "SELECT id FROM report WHERE outcome = 'waiting' AND account = ? ORDER BY first_seen DESC LIMIT -1 OFFSET ?))",
        (account, to_ms(older_than), account, keep),
    )
    return cursor.rowcount
