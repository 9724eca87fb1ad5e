"""What an earlier version kept of a reporting MTA is read as what it says."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mdnwatch.store.migrate import migrate, migrations
from mdnwatch.store.report_queries import load_report

BEFORE = 8


@pytest.mark.parametrize(("kept", "expected"), [(True, ""), (False, None)])
def test_whether_an_mta_reported_becomes_an_mta_of_unknown_name(kept: bool, expected: str | None) -> None:  # noqa: FBT001 - a column of the table
    content: dict[str, object] = {"format": "rfc3464", "keys": [], "from": None, "date": None, "reporting_mta": kept}
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        for number, script in migrations().items():
            if number < BEFORE:
                db.executescript(script)
                db.execute(f"PRAGMA user_version = {number}")
        db.execute(
            "INSERT INTO report (id, kind, account, announce, first_seen, observed_at, outcome, content)"
            " VALUES ('r', 'dsn', 'sales', 1, 0, 0, 'waiting', ?)",
            (json.dumps({**content, "returned": True, "defects": []}),),
        )
        migrate(db, Path(":memory:"))
        assert load_report(db, "r").provenance.reporting_mta == expected
