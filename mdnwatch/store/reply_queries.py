"""Replies that wait for the message they answer, as keyed hashes; plain functions over a connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from mdnwatch.model.answer import form_of, key_hash, sender_hashes
from mdnwatch.model.correlation import LookupKey, Rung
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
from mdnwatch.store import report_queries
from mdnwatch.store.setting_queries import secret

_SECRET = "replies"  # noqa: S105 - its name

_COLUMNS = "id, 'reply', account, observed_at, announce, report, evidence, sender, place"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A reply that has found a message: what it tells, and where it was first seen."""

    report: StoredReport
    piece: Evidence
    place: Place


def hold(db: sqlite3.Connection, report: StoredReport, piece: Evidence, seen_at: Place, now: datetime) -> None:
    """Keep of a reply what lets a message of ours claim it later; of a known one what its places tell together."""
    sender = report.provenance.from_address or ""
    known = secret_of_hashes(db)
    inserted = db.execute(
        "INSERT INTO held_reply (id, account, announce, held_since, observed_at, sender, place, report, evidence)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (
            report.id,
            report.account,
            int(report.announce),
            to_ms(now),
            to_ms(report.observed_at),
            dump([one.hex() for one in sender_hashes(known, sender)]),
            dump([seen_at.account, seen_at.folder, seen_at.uidvalidity, seen_at.uid, seen_at.name]),
            _without_names(report),
            evidence_content(replace(piece, original=(), final=())),
        ),
    ).rowcount
    if not inserted:
        _unite(db, report)
        return
    db.executemany(
        "INSERT INTO held_reply_key (hash, reply, position, rung) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [
            (key_hash(known, key.key, sender), report.id, position, key.rung.value)
            for position, key in enumerate(report.keys)
        ],
    )


def _without_names(report: StoredReport) -> str:
    return report_content(replace(report, keys=(), provenance=replace(report.provenance, from_address=None)))


def _unite(db: sqlite3.Connection, report: StoredReport) -> None:
    """The earliest observation, and what was found of the sender at any place."""
    row = db.execute(f"SELECT {_COLUMNS} FROM held_reply WHERE id = ?", (report.id,)).fetchone()  # noqa: S608 - constants
    held = report_from(row[:6])
    checks = held.provenance.checks.united(report.provenance.checks)
    united = replace(
        held,
        observed_at=min(held.observed_at, report.observed_at),
        provenance=replace(held.provenance, checks=checks),
    )
    if united != held:
        db.execute(
            "UPDATE held_reply SET observed_at = ?, report = ? WHERE id = ?",
            (to_ms(united.observed_at), _without_names(united), report.id),
        )


def claim(db: sqlite3.Connection, key: str, recipients: Iterable[str]) -> Iterator[Claimed]:
    """The replies that answer the message of this key, and come from one of the recipients.

    One that is kept as a report already, since it answers another message too, learns the key and is left out.
    """
    if db.execute("SELECT 1 FROM held_reply LIMIT 1").fetchone() is None:
        return
    known = secret_of_hashes(db)
    for recipient in recipients:
        found = db.execute("SELECT reply, rung FROM held_reply_key WHERE hash = ?", (key_hash(known, key, recipient),))
        for reply, rung in found.fetchall():
            claimed = _claimed(db, known, reply, LookupKey(Rung(rung), key), recipient)
            if claimed is not None:
                yield claimed


def _claimed(db: sqlite3.Connection, known: bytes, reply: str, key: LookupKey, recipient: str) -> Claimed | None:
    if report_queries.is_kept(db, reply):
        _learn(db, known, reply, key, recipient)
        return None
    row = db.execute(f"SELECT {_COLUMNS} FROM held_reply WHERE id = ?", (reply,)).fetchone()  # noqa: S608 - constants
    report = report_from(row[:6])
    hashes = tuple(bytes.fromhex(one) for one in json.loads(row[7]))
    # The hash of the key was found by the recipient's mailbox, so that one of the forms is the sender's.
    sender = form_of(known, hashes, recipient) or recipient
    piece = evidence_from(reply, 0, row[3], row[6])
    return Claimed(
        report=replace(report, keys=(key,), provenance=replace(report.provenance, from_address=sender)),
        piece=replace(piece, original=(sender,)),
        place=Place(*json.loads(row[8])),
    )


def _learn(db: sqlite3.Connection, known: bytes, reply: str, key: LookupKey, sender: str) -> None:
    """Give a report one key more, at its place on the ladder."""
    report = report_queries.load_report(db, reply)
    positions = dict(db.execute("SELECT hash, position FROM held_reply_key WHERE reply = ?", (reply,)))
    keys = {*report.keys, key}
    keys_in_order = sorted(keys, key=lambda one: int(positions.get(key_hash(known, one.key, sender), 0)))
    report_queries.replace_keys(db, replace(report, keys=tuple(keys_in_order)))


def secret_of_hashes(db: sqlite3.Connection) -> bytes:
    """The secret of the hashes that are kept here."""
    return secret(db, _SECRET)


def accounts(db: sqlite3.Connection) -> list[str]:
    """The accounts whose replies are held."""
    return [account for (account,) in db.execute("SELECT DISTINCT account FROM held_reply ORDER BY account")]


def drop_oldest(db: sqlite3.Connection, account: str, keep: int, older_than: datetime) -> int:
    """Drop what was held too long, and the oldest of what is too much; how many were dropped."""
    cursor = db.execute(
        "DELETE FROM held_reply WHERE account = ? AND (held_since < ? OR id IN ("
        "SELECT id FROM held_reply WHERE account = ? ORDER BY held_since DESC LIMIT -1 OFFSET ?))",
        (account, to_ms(older_than), account, keep),
    )
    return cursor.rowcount
