from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from mdnwatch.sweeps import run_every


class Errors:
    def __init__(self) -> None:
        self.told: asyncio.Queue[object] = asyncio.Queue()

    def info(self, event: str, **fields: object) -> None:
        raise AssertionError(f"{event}: {fields}")

    def error(self, event: str, **fields: object) -> None:
        self.told.put_nowait((event, fields))


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.asyncio
async def test_a_sweep_runs_at_once_and_again_also_after_one_that_failed() -> None:
    log, sweeps = Errors(), asyncio.Queue[int]()

    async def sweep() -> None:
        sweeps.put_nowait(1)
        raise ValueError("no disk")

    task = asyncio.create_task(run_every(timedelta(milliseconds=20), sweep, now, log))
    async with asyncio.timeout(10):
        for _ in range(2):
            await sweeps.get()
            assert await log.told.get() == ("sweep failed", {"error": "ValueError: no disk"})
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.asyncio
async def test_the_end_of_the_program_in_the_middle_of_a_sweep_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    log, began, ended = Errors(), asyncio.Event(), asyncio.Event()

    async def sweep() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with caplog.at_level(logging.WARNING, "apscheduler"):
        task = asyncio.create_task(run_every(timedelta(hours=1), sweep, now, log))
        async with asyncio.timeout(10):
            await began.wait()
            task.cancel()
            await ended.wait()
            await asyncio.wait([task])
            # The job's own end is told after it.
            await asyncio.sleep(0)
    assert caplog.records == []
    assert log.told.empty()
