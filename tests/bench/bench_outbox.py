"""The outbox: events a second to local receivers, beside bare aiohttp that POSTs the same bodies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
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
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, _receiver() as url:
        # In the log stands a line for each, as in the daemon.
        log.configure("info", "json", nowhere)
        for endpoints in ENDPOINTS:
            # On the loop that the daemon runs on.
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                rounds = [runner.run(_round(url, endpoints)) for _ in range(ROUNDS + 1)][1:]
            ours, floor = (NOTIFICATIONS / statistics.median(seconds) for seconds in zip(*rounds, strict=True))
            yield at_least_times(f"outbox, {endpoints} endpoint(s)", "events/s", ours, floor, TIMES)
        structlog.reset_defaults()


@contextlib.contextmanager
def _receiver() -> Iterator[str]:
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
    with tempfile.TemporaryDirectory(prefix="mdnwatch-bench-") as home:
        store = Store(Path(home))
        await store.open()
        settings = [
            webhook.SETTINGS(name=f"sink-{number}", url=url, secrets=[SECRET], allow_private=True)  # type: ignore[arg-type] # as a configuration writes it
            for number in range(endpoints)
        ]
        sinks = {one.name: webhook.build(one, now=_now) for one in settings}
        lines = _Lines()
        outbox = Outbox(
            store,
            sinks,
            now=_now,
            log=lines,
            random=random.Random(1),
            announce=lambda *_: None,
            beat=lambda: None,
            metrics=Metrics(),
        )
        task = asyncio.create_task(outbox.run())
        await store.run(lambda db: _queue(db, list(sinks)))
        began = time.perf_counter()
        outbox.wake()
        await lines.all_delivered.wait()
        seconds = time.perf_counter() - began
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        for sink in sinks.values():
            await sink.close()
        await store.close()
    return seconds


class _Lines:
    """The log, which also tells when all is done."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()
        self._delivered = 0
        self.all_delivered = asyncio.Event()

    def info(self, event: str, **fields: object) -> None:
        self._log.info(event, **fields)
        self._delivered += event == "event delivered"
        if self._delivered == NOTIFICATIONS:
            self.all_delivered.set()

    def warning(self, event: str, **fields: object) -> None:
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
