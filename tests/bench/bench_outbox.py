"""The outbox: events a second to local receivers, beside bare aiohttp that POSTs the same bodies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import structlog
import uvloop
from bench.figures import Figure, at_least_times
from bench.receiver import HOST
from servers.receiver import SECRET

from mdnwatch import log
from mdnwatch.metrics import Metrics
from mdnwatch.outbox import Outbox
from mdnwatch.sinks import webhook
from mdnwatch.sinks.base import DEFAULT_CONCURRENCY
from mdnwatch.store import outbox_queries
from mdnwatch.store.sqlite import Store

ENDPOINTS = (1, 10, 100)
NOTIFICATIONS = 3_000  # shared among the endpoints
ROUNDS = 5

TIMES = 0.6

RECEIVER = Path(__file__).with_name("receiver.py")

# As long as the body of an event is.
BODY = json.dumps({"type": "recipient.displayed", "data": {"text": "x" * 1200}})


def figures() -> Iterator[Figure]:
    """Events a second, for some numbers of endpoints."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, receiver() as url:
        # In the log stands a line for each, as in the daemon.
        log.configure("info", "json", nowhere)
        for endpoints in ENDPOINTS:
            # On the loop that the daemon runs on.
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                rounds = [runner.run(_round(url, endpoints)) for _ in range(ROUNDS + 1)][1:]
            # The round whose ratio is in the middle: what else the machine does changes from one to the next.
            ours, floor = sorted(rounds, key=lambda seconds: seconds[0] / seconds[1])[ROUNDS // 2]
            what = f"outbox, {endpoints} endpoint(s)"
            yield at_least_times(what, "events/s", NOTIFICATIONS / ours, NOTIFICATIONS / floor, TIMES)
        structlog.reset_defaults()


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    """A receiver in a process of its own: its URL."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(RECEIVER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        if process.stdout is None:
            raise AssertionError("the receiver has no output")
        yield f"http://{HOST}:{int(process.stdout.readline())}/hook"
        process.communicate()


async def _round(url: str, endpoints: int) -> tuple[float, float]:
    """Seconds that the outbox needs, and the floor."""
    return await _outbox(url, endpoints), await _bare(url, endpoints)


async def _outbox(url: str, endpoints: int) -> float:
    lines = Lines(NOTIFICATIONS)
    urls = {f"sink-{number}": url for number in range(endpoints)}
    async with state() as store, working(store, urls, lines) as outbox:
        await store.run(lambda db: _queue(db, list(urls)))
        began = time.perf_counter()
        outbox.wake()
        await lines.all_delivered.wait()
        return time.perf_counter() - began


@contextlib.asynccontextmanager
async def state() -> AsyncIterator[Store]:
    """A new store, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mdnwatch-bench-") as home:
        store = Store(Path(home))
        await store.open()
        yield store
        await store.close()


@contextlib.asynccontextmanager
async def working(store: Store, urls: Mapping[str, str], lines: Lines) -> AsyncIterator[Outbox]:
    """An outbox at work, with a sink for each of these URLs."""
    tables = [{"name": name, "url": url, "secrets": [SECRET], "allow_private": True} for name, url in urls.items()]
    settings = [webhook.SETTINGS.model_validate(table) for table in tables]
    sinks = {one.name: webhook.build(one, now=_now) for one in settings}
    outbox = Outbox(
        store,
        sinks,
        now=_now,
        log=lines,
        random=random.Random(1),
        announce=lambda *_: None,
        beat=lambda: None,
        metrics=Metrics(),
        stop_grace=0.1,
    )
    task = asyncio.create_task(outbox.run())
    yield outbox
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    for sink in sinks.values():
        await sink.close()


class Lines:
    """The log, which also tells when so many events are delivered."""

    def __init__(self, wanted: int) -> None:
        self._log = structlog.get_logger().bind()  # as the daemon does
        self._wanted = wanted
        self._delivered = 0
        self.all_delivered = asyncio.Event()

    def info(self, event: str, **fields: object) -> None:
        """A line; of what is delivered one is counted."""
        self._log.info(event, **fields)
        self._delivered += event == "event delivered"
        if self._delivered == self._wanted:
            self.all_delivered.set()

    def warning(self, event: str, **fields: object) -> None:
        """What may not happen before all is delivered."""
        if not self.all_delivered.is_set():
            raise AssertionError(f"{event}: {fields}")

    error = warning


def _queue(db: sqlite3.Connection, sinks: Sequence[str]) -> None:
    """Events of as many recipients, each for every sink."""
    now = round(_now().timestamp() * 1000)
    for number in range(NOTIFICATIONS // len(sinks)):
        values = (f"evt_{number:032}", "recipient.displayed", now, BODY)
        db.execute("INSERT INTO event (id, type, created_at, body) VALUES (?, ?, ?, ?)", values)
        outbox_queries.enqueue(db, values[0], sinks, f"recipient {number}", now)


def _now() -> datetime:
    return datetime.now(UTC)


async def _bare(url: str, endpoints: int) -> float:
    """POST the same bodies, with as many at once to each endpoint."""

    async def post_some(session: aiohttp.ClientSession, left: Iterator[int]) -> None:
        for _ in left:
            async with session.post(url, data=BODY.encode()) as response:
                await response.read()

    sessions = [aiohttp.ClientSession() for _ in range(endpoints)]
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for session in sessions:
            left = iter(range(NOTIFICATIONS // endpoints))
            for _ in range(DEFAULT_CONCURRENCY):
                group.create_task(post_some(session, left))
    seconds = time.perf_counter() - began
    for session in sessions:
        await session.close()
    return seconds
