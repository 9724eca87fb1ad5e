"""What stays of what was erased, and what it keeps from being known again; plain functions over a connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from mdnwatch.model.address import without_sub_address
from mdnwatch.model.answer import keyed_hash
from mdnwatch.model.correlation import keys_of_sent
from mdnwatch.model.erasure import mailboxes_in
from mdnwatch.model.evidence import Evidence
from mdnwatch.model.sent import SentMessage
from mdnwatch.model.stored import StoredReport, evidence_content, to_ms
from mdnwatch.store.setting_queries import secret

_SECRET = "tombstones"  # noqa: S105 - its name


def are_there(db: sqlite3.Connection) -> bool:
    """Whether anything was ever erased."""
    return db.execute("SELECT 1 FROM tombstone LIMIT 1").fetchone() is not None


def bury_message(db: sqlite3.Connection, keys: Iterable[str], now: datetime) -> None:
    """Know a message by its keys, as model.correlation writes them, as one that was erased."""
    _bury(db, [("message", key) for key in keys], now)


def bury_recipient(db: sqlite3.Connection, key: str, mailbox: str, now: datetime) -> None:
    """Know a recipient of the message of this key, that of its Message-ID, as one who was erased."""
    _bury(db, [("recipient", key, mailbox)], now)


def bury_mailbox(db: sqlite3.Connection, mailbox: str, now: datetime) -> None:
    """Know whoever has this mailbox as one of whom all was erased that was sent until now."""
    _bury(db, [("mailbox", mailbox)], now)


def _bury(db: sqlite3.Connection, names: Iterable[Sequence[str]], now: datetime) -> None:
    known = secret(db, _SECRET)
    db.executemany(
        "INSERT INTO tombstone (hash, erased_at) VALUES (?, ?)"
        " ON CONFLICT (hash) DO UPDATE SET erased_at = max(tombstone.erased_at, excluded.erased_at)",
        [(keyed_hash(known, *name), to_ms(now)) for name in names],
    )


def _erased_at(db: sqlite3.Connection, *name: str) -> int | None:
    row = db.execute("SELECT erased_at FROM tombstone WHERE hash = ?", (keyed_hash(secret(db, _SECRET), *name),))
    found = row.fetchone()
    return None if found is None else int(found[0])


def erased_keys(db: sqlite3.Connection, keys: Iterable[str]) -> frozenset[str]:
    """Those of the keys that name a message that was erased."""
    return frozenset(key for key in keys if _erased_at(db, "message", key) is not None)


def without_erased(db: sqlite3.Connection, sent: SentMessage) -> SentMessage | None:
    """What may be known of a sent message; None where it, or each of its recipients, was erased."""
    if not are_there(db):
        return sent
    key, *_ = keys_of_sent(sent)
    if _erased_at(db, "message", key) is not None:
        return None
    erased = [one for one in sent.recipients if _is_erased(db, without_sub_address(one), [key], sent.date)]
    if not erased:
        return sent
    remaining = tuple(one for one in sent.recipients if one not in erased)
    tokens = tuple((identity, made_for) for identity, made_for in sent.tokens if made_for not in erased)
    return replace(sent, recipients=remaining, tokens=tokens) if remaining else None


def is_erased(
    db: sqlite3.Connection, report: StoredReport, piece: Evidence, keys: Iterable[str], sent_at: datetime | None
) -> bool:
    """Whether a piece of evidence, or the report it stands in, names somebody who was erased.

    `keys` name the message that it is about. That was sent at `sent_at`; where this is not known, it counts as old
    where the report says so, or was seen before the erasure.
    """
    of = report.provenance
    named = mailboxes_in([of.from_address or "", of.checks.smime_addresses, json.loads(evidence_content(piece))])
    at = sent_at or report.original_date or report.observed_at
    keys = tuple(keys)
    return any(_is_erased(db, mailbox, keys, at) for mailbox in named)


def _is_erased(db: sqlite3.Connection, mailbox: str, keys: Iterable[str], at: datetime | None) -> bool:
    until = _erased_at(db, "mailbox", mailbox)
    if until is not None and at is not None and (to_ms(at) or 0) <= until:
        return True
    return any(_erased_at(db, "recipient", key, mailbox) is not None for key in keys)
