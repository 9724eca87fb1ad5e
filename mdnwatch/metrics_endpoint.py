"""The address at which Prometheus asks: GET /metrics, on loopback."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from mdnwatch.config import MetricsSettings
from mdnwatch.errors import MdnwatchError
from mdnwatch.metrics import CONTENT_TYPE, Sample
from mdnwatch.model.stored import to_ms
from mdnwatch.sources.base import SourceHealth, SourceState
from mdnwatch.store import outbox_queries, report_queries


@contextlib.asynccontextmanager
async def listening(settings: MetricsSettings, exposition: Callable[[], Awaitable[bytes]]) -> AsyncIterator[None]:
    """Answer at the configured address until the block is left; nowhere, where none is configured.

    Raises MdnwatchError where nothing can listen there.
    """
    if settings.listen is None:
        yield
        return

    from aiohttp import web  # noqa: PLC0415 - 1.5 MiB, for those who ask for figures

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=await exposition(), headers={"Content-Type": CONTENT_TYPE})

    application = web.Application()
    application.router.add_get("/metrics", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        host, port = settings.address
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise MdnwatchError(f"metrics.listen: {settings.listen}: {error.strerror or error}") from None
        yield
    finally:
        await runner.cleanup()


def source_samples(health: Iterable[SourceHealth]) -> Iterator[Sample]:
    """The gauges of the sources."""
    for source in health:
        yield Sample("mdnwatch_source_up", source.state is SourceState.UP, (source.name,))
        if source.last_answer is not None:
            name = "mdnwatch_source_last_answer_timestamp_seconds"
            yield Sample(name, source.last_answer.timestamp(), (source.name,))
        for folder in source.folders:
            if folder.last_agreement is not None:
                name = "mdnwatch_folder_last_agreement_timestamp_seconds"
                yield Sample(name, folder.last_agreement.timestamp(), (source.name, folder.name))


def stored_samples(db: sqlite3.Connection, now: datetime) -> list[Sample]:
    """The gauges of what stands in the database; `now` is aware UTC."""
    samples = []
    for backlog in outbox_queries.backlog(db):
        endpoint, sink = backlog.endpoint, (backlog.sink,)
        up = endpoint is None or (endpoint.down_since is None and endpoint.disabled_at is None)
        age = 0.0 if backlog.oldest is None else max((to_ms(now) or 0) - backlog.oldest, 0) / 1000
        samples += [
            Sample("mdnwatch_sink_up", up, sink),
            Sample("mdnwatch_outbox_waiting", backlog.waiting, sink),
            Sample("mdnwatch_outbox_oldest_seconds", age, sink),
        ]
    waiting = report_queries.count_waiting(db)
    return samples + [Sample("mdnwatch_reports_waiting", count, (account,)) for account, count in waiting.items()]


def wal_sample(database: Path) -> Sample:
    """The size of the write-ahead log; it is there only while the database is in use."""
    wal = database.with_name(f"{database.name}-wal")
    return Sample("mdnwatch_wal_bytes", wal.stat().st_size if wal.exists() else 0)
