"""Reports whose message is not known: told after a grace time, once, and never when it is found in time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from facts import SENT_AT, block, dsn, head, mdn, sent_message

from mdnwatch.model.evidence import extract
from mdnwatch.model.received import Place
from mdnwatch.model.report import Report, report_id
from mdnwatch.model.stored import stored
from mdnwatch.placement import record_report, record_sent
from mdnwatch.store.event_queries import MAX_REPORT_EVENTS_PER_HOUR
from mdnwatch.store.sqlite import Store
from mdnwatch.unit import Rules, Unit
from mdnwatch.unmatched import SENT_BEFORE_WATCH, Unmatched

GRACE = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@dataclass
class Lines:
    lines: list[str] = field(default_factory=list)

    def info(self, event: str, **_fields: Any) -> None:  # noqa: ANN401 - as structlog
        self.lines.append(event)

    error = info


@dataclass
class World:
    store: Store
    now: datetime = SENT_AT
    read_until: dict[str, datetime] | None = None

    @property
    def sweeps(self) -> Unmatched:
        """As of a process that has just begun: nothing is kept but in the database."""
        return Unmatched(
            self.store,
            grace=lambda: GRACE,
            rules=Rules,
            read_until=self._read_until,
            enqueue=lambda *_: None,
            told=lambda: None,
            now=lambda: self.now,
            log=Lines(),
        )

    def _read_until(self) -> Mapping[str, datetime]:
        return {"sales": self.now} if self.read_until is None else self.read_until

    async def sweep(self) -> None:
        await self.sweeps.sweep()

    async def hear(self, report: Report, number: int = 1, *, announce: bool = True) -> None:
        identifier = report_id(report.head, report.report_part)
        kept = stored(report, identifier, "sales", self.now, announce=announce)
        pieces = extract(report, identifier, self.now)
        await self.store.run(
            lambda db: record_report(
                Unit(db, Rules(), self.now, lambda *_: None), kept, pieces, Place("sales", "INBOX", 1, number)
            )
        )

    async def send(self, message_id: str = "<offer@mail.example>") -> None:
        unit_now = self.now
        await self.store.run(
            lambda db: record_sent(Unit(db, Rules(), unit_now, lambda *_: None), sent_message(message_id))
        )

    async def told(self) -> list[dict[str, Any]]:
        rows = await self.store.read(lambda db: db.execute("SELECT body FROM event ORDER BY rowid").fetchall())
        return [json.loads(body) for (body,) in rows]

    async def types(self) -> list[str]:
        types = [event["type"] for event in await self.told()]
        return [kind for kind in types if kind != "message.settled"]


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = Store(tmp_path)
    await store.open()
    world = World(store)
    await world.sweep()  # the watch begins
    yield world
    await store.close()


@pytest.mark.asyncio
async def test_it_is_told_when_the_grace_time_is_over_and_once_across_restarts(world: World) -> None:
    await world.hear(mdn(head()))
    world.now += GRACE - MINUTE
    await world.sweep()
    assert await world.types() == []
    world.now += 2 * MINUTE
    for _ in range(3):
        await world.sweep()
    (event,) = await world.told()
    assert event["type"] == "report.unmatched"
    assert event["data"]["message_ids"] == ["<offer@mail.example>"]
    assert event["data"]["recipients"] == ["bob@there.example"]
    assert event["data"]["first_seen"] == "2026-11-23T09:00:00.000Z"
    assert event["data"]["perhaps_cut"] == []


@pytest.mark.asyncio
async def test_a_report_that_found_its_message_in_time_is_not_told(world: World) -> None:
    await world.hear(mdn(head()))
    world.now += MINUTE
    await world.send()
    world.now += GRACE
    await world.sweep()
    assert await world.types() == ["recipient.displayed"]


@pytest.mark.asyncio
async def test_days_later_its_message_claims_it_all_the_same(world: World) -> None:
    await world.hear(mdn(head()))
    world.now += 2 * GRACE
    await world.sweep()
    world.now += timedelta(days=5)
    await world.send()
    await world.sweep()
    assert await world.types() == ["report.unmatched", "recipient.displayed"]


@pytest.mark.asyncio
async def test_nothing_is_told_before_the_account_was_read(world: World) -> None:
    await world.hear(mdn(head()))
    began = world.now
    world.now += 2 * GRACE
    for read_until in ({}, {"sales": began}, {"other": world.now}):
        world.read_until = read_until
        await world.sweep()
    assert await world.types() == []
    world.read_until = None
    await world.sweep()
    assert await world.types() == ["report.unmatched"]


@pytest.mark.asyncio
async def test_backfilled_reports_and_those_about_mail_from_before_the_watch_are_not_told(world: World) -> None:
    await world.hear(mdn(head()), announce=False)
    limit = SENT_AT - SENT_BEFORE_WATCH
    before = replace(dsn(head("<2@x>"), [block("bob@there.example")]), arrival_date=limit - MINUTE)
    since = replace(dsn(head("<3@x>"), [block("carol@there.example")]), arrival_date=limit + MINUTE)
    await world.hear(before, 2)
    await world.hear(since, 3)
    world.now += 2 * GRACE
    await world.sweep()
    assert [event["data"]["recipients"] for event in await world.told()] == [["carol@there.example"]]


@pytest.mark.asyncio
async def test_backscatter_is_summarised(world: World) -> None:
    many = 3 * MAX_REPORT_EVENTS_PER_HOUR
    for number in range(many):
        await world.hear(mdn(head(f"<r{number}@x>"), original_message_id=f"<{number}@not-ours.example>"), number)
    world.now += 2 * GRACE
    await world.sweep()
    await world.sweep()
    events = await world.told()
    assert len(events) == MAX_REPORT_EVENTS_PER_HOUR + 1
    assert "summary" in events[-1]["data"]


@pytest.mark.asyncio
async def test_a_cut_message_id_matches_nothing_and_the_whole_ones_are_named(world: World) -> None:
    await world.send("<a-long-identifier.2026@mail.example>")
    await world.send("<a-long-identifier.2027@mail.example>")
    await world.send("<another@mail.example>")
    await world.hear(mdn(head(), original_message_id="<a-long-identifier.20>"))
    world.now += 2 * GRACE
    await world.sweep()
    (event,) = await world.told()
    assert event["type"] == "report.unmatched"
    assert [one["message_id"] for one in event["data"]["perhaps_cut"]] == [
        "<a-long-identifier.2026@mail.example>",
        "<a-long-identifier.2027@mail.example>",
    ]


@pytest.mark.asyncio
async def test_what_is_due_is_found_by_an_index(world: World) -> None:
    sql = "EXPLAIN QUERY PLAN SELECT id FROM report WHERE tell_unmatched = 1 AND account = 'a' AND first_seen < 1"
    ((*_, plan),) = await world.store.read(lambda db: db.execute(sql).fetchall())
    assert "report_unmatched" in plan
