"""The outbox in trouble: an endpoint that hangs beside others, and a million events that wait at the start."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvloop
from bench.bench_outbox import BODY, Lines, receiver, state, working
from bench.figures import Figure, at_most, at_most_times
from bench.receiver import HOST

from mdnwatch import log
from mdnwatch.store import outbox_queries

# Of each endpoint; the one that hangs has as many waiting.
HEALTHY, EACH = 9, 300
ROUNDS = 5

# What the hanging one may cost the others: its own few attempts, and what the machine makes of it.
TIMES = 1.15

# Half of them are the next of their recipient, and due at once; the others stand behind these.
WAITING = 1_000_000
MESSAGES = 500_000
SECONDS = 1.0
DELIVERED = 2_000
MIB = 48.0


def figures() -> Iterator[Figure]:
    """What the others notice of a hanging endpoint; seconds and memory until a long backlog moves."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, receiver() as url:
        log.configure("info", "json", nowhere)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, socket.create_server((HOST, 0)) as silent:
            # Connections are taken by the system, and nobody ever answers.
            hanging = f"http://{HOST}:{silent.getsockname()[1]}/hook"
            rounds = [(runner.run(_seconds(url, hanging)), runner.run(_seconds(url, None))) for _ in range(ROUNDS + 1)][
                1:
            ]
            ours, floor = sorted(rounds, key=lambda seconds: seconds[0] / seconds[1])[ROUNDS // 2]
            yield at_most_times(f"{HEALTHY} endpoints beside one that hangs", "s", ours, floor, TIMES)
            first, grown = runner.run(_backlog(url))
            yield at_most(f"the first of {WAITING:,} waiting events", "s", first, SECONDS)
            yield at_most(f"memory more, after {DELIVERED:,} of them", "MiB", grown, MIB)
        structlog.reset_defaults()


async def _seconds(url: str, hanging: str | None) -> float:
    """Until all is delivered that the healthy endpoints get."""
    urls = {f"sink-{number}": url for number in range(HEALTHY)}
    lines = Lines(HEALTHY * EACH)
    everyone = urls if hanging is None else {**urls, "hanging": hanging}
    async with state() as store, working(store, everyone, lines) as outbox:
        await store.run(lambda db: _queue(db, list(everyone)))
        began = time.perf_counter()
        outbox.wake()
        await lines.all_delivered.wait()
        return time.perf_counter() - began


def _queue(db: sqlite3.Connection, sinks: list[str]) -> None:
    now = round(time.time() * 1000)
    for number in range(EACH):
        values = (f"evt_{number:032}", "recipient.displayed", now, BODY)
        db.execute("INSERT INTO event (id, type, created_at, body) VALUES (?, ?, ?, ?)", values)
        outbox_queries.enqueue(db, values[0], sinks, f"recipient {number}", now)


async def _backlog(url: str) -> tuple[float, float]:
    """Seconds from the start to the first delivery, and MiB more after some."""
    async with state() as store:
        # By another process, whose memory is not ours.
        filling = await asyncio.create_subprocess_exec(
            sys.executable, __file__, str(store.path), env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        )
        if await filling.wait() != 0:
            raise AssertionError("the backlog was not made")
        first, some = Lines(1), Lines(DELIVERED)
        before = _rss_mib()
        began = time.perf_counter()
        async with working(store, {"sink": url}, first):
            await first.all_delivered.wait()
            seconds = time.perf_counter() - began
        async with working(store, {"sink": url}, some):
            await some.all_delivered.wait()
            return seconds, _rss_mib() - before


def _fill(db: sqlite3.Connection) -> None:
    now = round(time.time() * 1000) - 1000
    numbers = f"WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {WAITING - 1})"
    db.execute(
        f"{numbers} INSERT INTO event (id, type, created_at, body)"
        " SELECT printf('evt_%032d', i), 'recipient.displayed', ?, '{\"data\":{}}' FROM n",
        (now,),
    )
    db.execute(
        f"{numbers} INSERT INTO notification (event, sink, order_key, state, due_at, created_at)"
        " SELECT printf('evt_%032d', i), 'sink', 'recipient ' || (i % ?), iif(i < ?, 'head', 'waiting'), ?, ? FROM n",
        (MESSAGES, MESSAGES, now, now),
    )


def _rss_mib() -> float:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


if __name__ == "__main__":
    # On its own it fills the database that is named.
    with contextlib.closing(sqlite3.connect(sys.argv[1])) as database, database:
        _fill(database)
