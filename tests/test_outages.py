"""Outages with the real store: told once, also when it lasts over a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mdnwatch.errors import Cause
from mdnwatch.model.event import Event
from mdnwatch.model.outage import Trouble
from mdnwatch.outages import Outages
from mdnwatch.store.event_queries import insert_event
from mdnwatch.store.sqlite import Store

LOST = Trouble(Cause.CONNECTION_LOST, "the connection was lost")
REFUSED = Trouble(Cause.PASSWORD_REFUSED, "the server refused the password", lasting=True)
SHORT = timedelta(milliseconds=80)
LONG = timedelta(hours=1)


class Teller:
    """Outages at work on a store, and what they have told."""

    def __init__(self, store: Store, grace: timedelta) -> None:
        self.store = store
        self.errors: list[str] = []
        self.told_count = 0
        self.broken = False
        self.meanwhile: Callable[[], Coroutine[None, None, None]] | None = None
        self.loop = asyncio.get_running_loop()
        self.outages = Outages(
            store,
            grace=lambda: grace,
            announce=self._announce,
            told=self._told,
            now=lambda: datetime.now(UTC),
            log=self,
        )

    def error(self, event: str, **fields: object) -> None:
        self.errors.append(f"{event} {fields}")

    def _told(self) -> None:
        self.told_count += 1

    def _announce(self, db: sqlite3.Connection, event: Event, at: datetime) -> None:
        if self.broken:
            # What SQLite does when the disk is full: the whole transaction is gone.
            db.execute("ROLLBACK")
            raise sqlite3.OperationalError("database or disk is full")
        insert_event(db, event, at)
        if self.meanwhile is not None:
            # The writer has a thread of its own; what happens meanwhile happens on the loop.
            meanwhile, self.meanwhile = self.meanwhile, None
            asyncio.run_coroutine_threadsafe(meanwhile(), self.loop).result(10)

    async def events(self) -> list[dict[str, Any]]:
        rows = await self.store.read(lambda db: db.execute("SELECT body FROM event ORDER BY rowid").fetchall())
        return [json.loads(body) for (body,) in rows]

    async def kept(self) -> int:
        """How many outages are in the database."""
        ((count,),) = await self.store.read(lambda db: db.execute("SELECT count(*) FROM source_outage").fetchall())
        return int(count)

    async def types(self) -> list[str]:
        return [str(event["type"]) for event in await self.events()]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)


@asynccontextmanager
async def telling(home: Path, grace: timedelta, accounts: tuple[str, ...] = ("sales",)) -> AsyncIterator[Teller]:
    """One life of the daemon, as far as outages are concerned."""
    store = Store(home)
    await store.open()
    teller = Teller(store, grace)
    await teller.outages.load(accounts)
    task = asyncio.create_task(teller.outages.run())
    try:
        yield teller
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await store.close()


@pytest.mark.asyncio
async def test_an_outage_is_told_with_its_cause_and_the_way_out_and_so_is_its_end(tmp_path: Path) -> None:
    async with telling(tmp_path, SHORT) as teller:
        teller.outages.down("sales", REFUSED)
        await until(lambda: teller.told_count == 1)
        for _ in range(3):
            teller.outages.down("sales", REFUSED)
        teller.outages.up("sales")
        await until(lambda: teller.told_count == 2)
        down, up = await teller.events()
    assert (down["type"], up["type"]) == ("source.down", "source.up")
    assert (down["data"]["source"], down["data"]["cause"]) == ("sales", "password_refused")
    assert "put the right password in its place" in down["data"]["way_out"]
    assert (up["data"]["since"], up["data"]["cause"]) == (down["data"]["since"], "password_refused")
    assert up["data"]["reason"] == "it is read again"
    assert up["data"]["back_since"] > up["data"]["since"]


@pytest.mark.asyncio
async def test_a_short_hiccup_is_not_told(tmp_path: Path) -> None:
    async with telling(tmp_path, LONG) as teller:
        for _ in range(5):
            teller.outages.down("sales", LOST)
            teller.outages.up("sales")
            await asyncio.sleep(0)
        teller.outages.down("other", REFUSED)
        await until(lambda: teller.told_count == 1)
        assert [event["data"]["source"] for event in await teller.events()] == ["other"]


@pytest.mark.asyncio
async def test_an_outage_that_lasts_over_restarts_is_told_once(tmp_path: Path) -> None:
    async with telling(tmp_path, SHORT) as teller:
        teller.outages.down("sales", LOST)
        await until(lambda: teller.told_count == 1)
    for _ in range(2):
        async with telling(tmp_path, SHORT) as teller:
            teller.outages.down("sales", LOST)
            teller.outages.down("other", REFUSED)  # by its event it is seen that all was looked at
            await until(lambda: teller.told_count == 1)
    async with telling(tmp_path, SHORT, ("sales", "other")) as teller:
        teller.outages.up("sales")
        await until(lambda: teller.told_count == 1)
        events = [event for event in await teller.events() if event["data"]["source"] == "sales"]
    assert [event["type"] for event in events] == ["source.down", "source.up"]
    assert events[0]["data"]["since"] == events[1]["data"]["since"]


@pytest.mark.asyncio
async def test_the_outage_of_an_account_that_is_no_longer_watched_is_forgotten(tmp_path: Path) -> None:
    async with telling(tmp_path, SHORT) as teller:
        teller.outages.down("sales", REFUSED)
        await until(lambda: teller.told_count == 1)
    async with telling(tmp_path, SHORT, ()) as teller:
        async with asyncio.timeout(10):
            while await teller.kept():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.005)
    async with telling(tmp_path, SHORT) as teller:
        teller.outages.down("sales", REFUSED)
        await until(lambda: teller.told_count == 1)
        assert await teller.types() == ["source.down", "source.down"]


@pytest.mark.asyncio
async def test_what_cannot_be_written_is_told_when_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdnwatch.outages.PAUSE_SECONDS", 0.01)
    async with telling(tmp_path, SHORT) as teller:
        teller.broken = True
        teller.outages.down("sales", REFUSED)
        await until(lambda: len(teller.errors) > 1)
        assert await teller.types() == []
        teller.broken = False
        await until(lambda: teller.told_count == 1)
        assert await teller.types() == ["source.down"]


@pytest.mark.asyncio
async def test_an_account_that_fails_and_is_back_while_its_end_is_written_is_not_told_as_down(tmp_path: Path) -> None:
    async with telling(tmp_path, SHORT) as teller:
        teller.outages.down("sales", LOST)
        await until(lambda: teller.told_count == 1)

        async def hiccup() -> None:
            teller.outages.down("sales", LOST)
            teller.outages.up("sales")

        teller.meanwhile = hiccup
        teller.outages.up("sales")
        await until(lambda: teller.told_count == 2)
        await until(lambda: not teller.outages._outages)
        assert await teller.types() == ["source.down", "source.up"]
