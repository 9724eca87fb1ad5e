"""An outbox with the real store, real receivers and a clock that a test can move."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from servers.receiver import PATIENCE_SECONDS, SECRET, Receiver

from mdnwatch.metrics import Metrics
from mdnwatch.model.event_type import EventType
from mdnwatch.outbox import Outbox
from mdnwatch.sinks import webhook
from mdnwatch.sinks.base import Sink
from mdnwatch.sinks.webhook_settings import WebhookSettings
from mdnwatch.store import outbox_queries
from mdnwatch.store.outbox_queries import SinkBacklog
from mdnwatch.store.sqlite import Store


class Clock:
    """The real time, moved by a test. Webhooks are signed with the real one: receivers look at it."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def ms(self) -> int:
        return round(self().timestamp() * 1000)


class Lines:
    """The log, as structured lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []
        self.added = asyncio.Event()

    def _add(self, level: str, event: str, fields: dict[str, Any]) -> None:
        self.lines.append((level, event, fields))
        self.added.set()

    def info(self, event: str, **fields: object) -> None:
        self._add("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._add("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._add("error", event, fields)

    def of(self, event: str) -> list[dict[str, Any]]:
        return [fields for _, said, fields in self.lines if said == event]


class World:
    """Everything around one outbox. `run` starts it and stops it as the daemon does."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.store = Store(state_dir)
        self.clock = Clock()
        self.log = Lines()
        self.metrics = Metrics()
        self.beaten = asyncio.Event()
        self.news: list[tuple[EventType, str, str]] = []
        self.outbox: Outbox | None = None

    @asynccontextmanager
    async def run(self, *sinks: Sink, stop_grace: float = 0.2) -> AsyncIterator[Outbox]:
        outbox = self.outbox = Outbox(
            self.store,
            {sink.settings.name: sink for sink in sinks},
            now=self.clock,
            log=self.log,
            random=Random(1),  # noqa: S311 - the same in every run
            announce=self._announce,
            beat=self._beat,
            metrics=self.metrics,
            stop_grace=stop_grace,
        )
        task = asyncio.create_task(outbox.run())
        try:
            yield outbox
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            for sink in sinks:
                await sink.close()

    def _beat(self) -> None:
        self.beaten.set()

    def _announce(self, db: sqlite3.Connection, kind: EventType, sink: str, since: int, reason: str) -> None:
        assert db.in_transaction
        assert 0 < since <= self.clock.ms()
        self.news.append((kind, sink, reason))

    def sink(self, receiver: Receiver, name: str = "crm", **table: object) -> Sink:
        settings = WebhookSettings.model_validate(
            {"name": name, "url": receiver.url, "secrets": [SECRET], "allow_private": True, **table}
        )
        return webhook.build(settings, now=lambda: datetime.now(UTC))

    async def queue(self, events: Iterable[tuple[str, str]], sinks: tuple[str, ...] = ("crm",)) -> None:
        """Events as (id, order key), in one transaction, as the pipeline does."""
        pairs, now = list(events), self.clock.ms()

        def work(db: sqlite3.Connection) -> None:
            for event, key in pairs:
                db.execute(
                    "INSERT INTO event (id, type, created_at, body) VALUES (?, 'recipient.failed', ?, ?)",
                    (event, now, f'{{"id":"{event}","text":"Jürgen"}}'),
                )
                outbox_queries.enqueue(db, event, sinks, key, now)

        await self.store.run(work)
        if self.outbox is not None:
            self.outbox.wake()

    def pass_time(self, **amount: float) -> None:
        """Let time go by for the outbox."""
        self.clock.offset += timedelta(**amount)
        assert self.outbox is not None
        self.outbox.wake()

    async def looked(self) -> None:
        """Until the outbox has looked at everything that is due by now, and has begun what it may."""
        assert self.outbox is not None
        for _ in range(2):
            self.beaten.clear()
            self.outbox.wake()
            await self.beaten.wait()

    async def nothing_goes(self) -> None:
        """Assert that the outbox begins nothing now."""
        before = await self._attempts()
        await self.looked()
        assert await self._attempts() == before

    async def _attempts(self) -> int:
        return await self.store.read(lambda db: int(db.execute("SELECT sum(attempts) FROM notification").fetchone()[0]))

    async def states(self) -> dict[str, str]:
        return await self.store.read(lambda db: dict(db.execute("SELECT event, state FROM notification ORDER BY id")))

    async def row(self, event: str) -> dict[str, Any]:
        def work(db: sqlite3.Connection) -> dict[str, Any]:
            cursor = db.execute("SELECT * FROM notification WHERE event = ?", (event,))
            return dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))

        return await self.store.read(work)

    async def backlog(self, sink: str = "crm") -> SinkBacklog:
        return next(one for one in await self.store.read(outbox_queries.backlog) if one.sink == sink)

    async def wait_for_log(self, condition: Callable[[Lines], bool]) -> None:
        """Until a condition on the log holds; it is looked at after every line."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition(self.log):
                self.log.added.clear()
                await self.log.added.wait()

    async def wait_for_line(self, event: str, count: int = 1) -> dict[str, Any]:
        await self.wait_for_log(lambda log: len(log.of(event)) >= count)
        return self.log.of(event)[count - 1]


@asynccontextmanager
async def world(state_dir: Path) -> AsyncIterator[World]:
    made = World(state_dir)
    await made.store.open()
    try:
        yield made
    finally:
        await made.store.close()
