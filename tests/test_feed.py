from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mdnwatch import feed
from mdnwatch.model.event import Event
from mdnwatch.model.event_type import EventType
from mdnwatch.store.event_queries import insert_event
from mdnwatch.store.migrate import migrate, migrations

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def told(db: sqlite3.Connection, *ids: str, account: str = "sales", silent: bool = False) -> None:
    for one in ids:
        body = f'{{"type":"recipient.displayed","data":{{"id":"{one}","message":{{"account":"{account}"}}}}}}'
        insert_event(db, Event(one, EventType.RECIPIENT_DISPLAYED, one, body), NOW, silent=silent)


def ids(found: feed.Facts) -> list[str]:
    return [one["event"]["data"]["id"] for one in found["events"]]


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db, Path(":memory:"))
        yield db


def test_events_come_in_the_order_in_which_they_were_told_and_each_once(db: sqlite3.Connection) -> None:
    told(db, "evt_c", "evt_a", "evt_b", "evt_a")
    assert ids(feed.page(db, 0, 10)) == ["evt_c", "evt_a", "evt_b"]


def test_who_was_away_gets_what_came_since(db: sqlite3.Connection) -> None:
    told(db, "evt_1", "evt_2")
    cursor = feed.page(db, 0, 10)["cursor"]
    assert feed.page(db, cursor, 10) == {"events": [], "cursor": cursor, "more": False}
    told(db, "evt_3")
    assert ids(feed.page(db, cursor, 10)) == ["evt_3"]


def test_pages_follow_each_other_without_gap_or_overlap(db: sqlite3.Connection) -> None:
    told(db, *(f"evt_{number}" for number in range(5)))
    seen: list[str] = []
    cursor, more = 0, True
    while more:
        found = feed.page(db, cursor, 2)
        seen += ids(found)
        cursor, more = found["cursor"], found["more"]
    assert seen == [f"evt_{number}" for number in range(5)]


def test_what_nobody_was_told_is_not_told_here_either(db: sqlite3.Connection) -> None:
    told(db, "evt_backfilled", silent=True)
    told(db, "evt_new")
    assert ids(feed.page(db, 0, 10)) == ["evt_new"]


def test_who_begins_to_follow_begins_at_the_end(db: sqlite3.Connection) -> None:
    told(db, "evt_old")
    begin = feed.page(db, None, 10)
    assert begin["events"] == []
    told(db, "evt_new")
    assert ids(feed.page(db, begin["cursor"], 10)) == ["evt_new"]


def test_what_somebody_may_not_know_is_left_out_and_passed_over(db: sqlite3.Connection) -> None:
    told(db, "evt_theirs", account="board")
    told(db, "evt_ours")
    told(db, "evt_theirs_too", account="board")
    found = feed.page(db, 0, 10, lambda event: event["data"]["message"]["account"] == "sales")
    assert ids(found) == ["evt_ours"]
    assert found["cursor"] == feed.page(db, None, 10)["cursor"]


def test_a_cursor_is_never_given_twice(db: sqlite3.Connection) -> None:
    told(db, "evt_1", "evt_2")
    cursor = feed.page(db, 0, 10)["cursor"]
    db.execute("DELETE FROM event WHERE id = 'evt_2'")
    told(db, "evt_3")
    assert ids(feed.page(db, cursor, 10)) == ["evt_3"]


def test_events_of_an_older_database_keep_their_order_and_what_waits_for_sinks() -> None:
    steps = migrations()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys = ON")
        for number in range(1, 5):
            db.executescript(steps[number])
        for one, at in (("evt_b", 1), ("evt_a", 2), ("evt_c", 2)):
            db.execute("INSERT INTO event (id, type, created_at, body) VALUES (?, 'sink.up', ?, '{}')", (one, at))
            db.execute(
                "INSERT INTO notification (event, sink, order_key, state, due_at, created_at)"
                " VALUES (?, 'crm', ?, 'head', 0, 0)",
                (one, one),
            )
        db.execute("PRAGMA user_version = 4")
        migrate(db, Path(":memory:"))
        assert db.execute("SELECT id FROM event ORDER BY number").fetchall() == [("evt_b",), ("evt_a",), ("evt_c",)]
        assert db.execute("SELECT count(*) FROM notification JOIN event ON event = event.id").fetchone() == (3,)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        with pytest.raises(sqlite3.IntegrityError):
            db.execute("DELETE FROM event WHERE id = 'evt_a'")
