"""Reports as they are seen at places, and an empty database in which to record them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path

from facts import SENT_AT

from mdnwatch.model.authenticity import Checks
from mdnwatch.model.evidence import Evidence, extract
from mdnwatch.model.received import Place
from mdnwatch.model.report import Report, report_id
from mdnwatch.model.stored import StoredReport, stored
from mdnwatch.store.migrate import migrate

TOKEN_KEYS = {"abcd": b"k" * 32}


@dataclass(frozen=True)
class Arrival:
    """A report as it is seen at one place."""

    report: StoredReport
    evidence: tuple[Evidence, ...]
    place: Place

    def seen_again(self, account: str, uid: int) -> Arrival:
        """The same report at another place."""
        return replace(self, report=replace(self.report, account=account), place=Place(account, "INBOX", 1, uid))


@cache
def empty_database() -> bytes:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db, Path(":memory:"))
        return db.serialize()


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.deserialize(empty_database())
    db.execute("PRAGMA foreign_keys = ON")
    try:
        yield db
    finally:
        db.close()


def arrival(
    report: Report, *, account: str = "sales", uid: int = 1, hours_later: int = 2, checks: Checks | None = None
) -> Arrival:
    identifier = report_id(report.head, report.report_part)
    seen = SENT_AT + timedelta(hours=hours_later)
    kept = stored(report, identifier, account, seen, announce=True, token_keys=TOKEN_KEYS)
    kept = replace(kept, provenance=replace(kept.provenance, checks=checks or Checks()))
    return Arrival(kept, extract(report, identifier, seen), Place(account, "INBOX", 1, uid))
