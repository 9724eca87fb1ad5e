from __future__ import annotations

import asyncio
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from facts import SENT_AT, head, mdn, sent_message

from mdnwatch import recompute as work
from mdnwatch.config import build
from mdnwatch.errors import StoreError
from mdnwatch.model.authenticity import Grade
from mdnwatch.model.evidence import extract
from mdnwatch.model.received import Place
from mdnwatch.model.report import report_id
from mdnwatch.model.stored import stored
from mdnwatch.placement import record_report, record_sent
from mdnwatch.recompute import recompute
from mdnwatch.store.migrate import migrate
from mdnwatch.store.sqlite import DATABASE_NAME, Store
from mdnwatch.unit import Rules, Unit

NOW = SENT_AT + timedelta(days=1)
BOB = "bob@there.example"


def record(db: sqlite3.Connection, rules: Rules) -> None:
    """A message was sent, and somebody else answers for its recipient: doubtful."""
    unit = Unit(db, rules, NOW, lambda *_: None)
    record_sent(unit, sent_message(recipients=[BOB]))
    receipt = mdn(head(from_address="mallory@elsewhere.example"))
    identifier = report_id(receipt.head, receipt.report_part)
    kept = stored(receipt, identifier, "sales", NOW, announce=True)
    record_report(unit, kept, extract(receipt, identifier, NOW), Place("sales", "INBOX", 1, 1))


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db, Path(":memory:"))
        yield db


STRICT = Rules(min_grade=Grade.CONSISTENT)


@pytest.mark.parametrize(("announce", "told"), [(True, ["recipient.displayed", "message.settled"]), (False, [])])
def test_what_is_accepted_at_last_is_announced_only_when_asked(
    db: sqlite3.Connection,
    announce: bool,  # noqa: FBT001 - a column of the table
    told: list[str],
) -> None:
    record(db, STRICT)
    events: list[str] = []
    changes = recompute(db, Rules(), NOW, lambda _db, event, _now: events.append(event.type), announce=announce)
    assert events == told
    assert list(changes.lines()) == [
        "1 reports placed anew",
        "  1 recipient: unknown → displayed",
        f"{len(told)} events announced" if told else "nothing was announced",
    ]
    assert recompute(db, Rules(), NOW, lambda _db, event, _now: events.append(event.type), announce=True).announced == 0


def test_what_is_accepted_no_more_is_forgotten_and_its_event_never_told_again(db: sqlite3.Connection) -> None:
    record(db, Rules())
    assert dict(recompute(db, STRICT, NOW, lambda *_: None, announce=True).states) == {("displayed", "unknown"): 1}
    assert recompute(db, Rules(), NOW, lambda *_: None, announce=True).announced == 0


CONFIG = """
[[accounts]]
name = "sales"
kind = "maildir"
path = "/nowhere"
addresses = ["alice@mail.example"]
"""


def test_a_dry_run_says_it_and_changes_nothing(tmp_path: Path) -> None:
    config = build({"state_dir": str(tmp_path), "min_grade": "consistent", **tomllib.loads(CONFIG)}, {})

    async def both() -> tuple[work.Changes, work.Changes]:
        store = Store(tmp_path)
        await store.open()
        await store.run(lambda db: record(db, Rules()))
        with pytest.raises(StoreError, match="in use"):
            await work.run(config, NOW, announce=False, dry_run=True)
        await store.close()
        dry = await work.run(config, NOW, announce=False, dry_run=True)
        return dry, await work.run(config, NOW, announce=False, dry_run=False)

    dry, real = asyncio.run(both())
    assert dict(dry.states) == dict(real.states) == {("displayed", "unknown"): 1}
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as db:
        assert db.execute("SELECT count(*) FROM recipient WHERE state IS NOT NULL").fetchone() == (0,)
