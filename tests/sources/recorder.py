"""The program around a source, as far as a source sees it: it keeps what is handed over, and can refuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mdnwatch.errors import CommitFailed
from mdnwatch.model.outage import Trouble
from mdnwatch.model.received import Batch, Handled, Mark, RawMessage, Role, Wanted
from mdnwatch.sources.base import Context, Source
from mdnwatch.sources.logins import Logins

PATIENCE_SECONDS = 20.0

# Accounts with a password keep nothing there.
NO_STATE = Path("/nonexistent")


def only(text: bytes, much: Wanted = Wanted.WHOLE) -> Callable[[bytes, bytes], Wanted]:
    """So much of the messages that have this in their header, and nothing of the others."""
    return lambda header, _body: much if text in header else Wanted.NOTHING


class Recorder:
    """Keeps batches, marks and names as the store does: all of a batch or nothing."""

    def __init__(self, *, wanted: Callable[[bytes, bytes], Wanted] | None = None) -> None:
        self.batches: list[Batch] = []
        self.marks: dict[tuple[str, str], Mark] = {}
        self.names: dict[tuple[str, str], set[str]] = {}
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.beats = 0
        self.commits_to_fail = 0
        self.unmatched = 0
        self.troubles: list[Trouble | None] = []  # None: read again
        self.state_dir = NO_STATE
        self.logins = Logins(per_second=10_000.0, per_host=10_000)
        self._news = asyncio.Event()
        self._wanted = wanted or (lambda _header, _body: Wanted.WHOLE)

    @property
    def messages(self) -> list[RawMessage]:
        return [message for batch in self.batches for message in batch.messages]

    @property
    def inbox(self) -> list[RawMessage]:
        return [message for message in self.messages if message.role is Role.INBOX]

    @property
    def sent(self) -> list[RawMessage]:
        return [message for message in self.messages if message.role is Role.SENT]

    def context(self) -> Context:
        return Context(
            handle=self._handle,
            load_mark=self._load_mark,
            load_names=self._load_names,
            now=lambda: datetime.now(UTC),
            log=self,
            wanted=self._wanted,
            beat=self._beat,
            down=self.troubles.append,
            up=lambda: self.troubles.append(None),
            logins=self.logins,
            state_dir=self.state_dir,
        )

    async def until(self, condition: Callable[[], bool], patience: float = PATIENCE_SECONDS) -> None:
        """Wait for what may come with the next batch, log line or beat."""
        async with asyncio.timeout(patience):
            while not condition():
                self._news.clear()
                with suppress(TimeoutError):
                    # Health changes without a batch too.
                    await asyncio.wait_for(self._news.wait(), 0.02)

    def debug(self, event: str, **values: object) -> None:
        self._log(event, values)

    def info(self, event: str, **values: object) -> None:
        self._log(event, values)

    def warning(self, event: str, **values: object) -> None:
        self._log(event, values)

    def _log(self, event: str, values: dict[str, Any]) -> None:
        self.logged.append((event, values))
        self._news.set()

    def _beat(self) -> None:
        self.beats += 1

    async def _handle(self, batch: Batch) -> Handled:
        await asyncio.sleep(0)
        if self.commits_to_fail:
            self.commits_to_fail -= 1
            raise CommitFailed("the disk is full")
        self.batches.append(batch)
        place = (batch.checkpoint.account, batch.checkpoint.folder)
        if batch.checkpoint.mark is not None:
            self.marks[place] = batch.checkpoint.mark
        names = self.names.setdefault(place, set())
        names.update(batch.checkpoint.names)
        names.difference_update(batch.checkpoint.gone)
        self._news.set()
        inbox = any(message.role is Role.INBOX for message in batch.messages)
        return Handled(unmatched=self.unmatched if inbox else 0)

    async def _load_mark(self, account: str, folder: str) -> Mark | None:
        return self.marks.get((account, folder))

    async def _load_names(self, account: str, folder: str) -> frozenset[str]:
        return frozenset(self.names.get((account, folder), ()))


@asynccontextmanager
async def running(source: Source) -> AsyncIterator[Source]:
    """A source at work; an error of its own ends the test."""
    task = asyncio.create_task(source.run())
    try:
        yield source
        if task.done():
            task.result()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
