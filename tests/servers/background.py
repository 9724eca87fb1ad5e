"""The webhook receiver in a thread of its own, for tests that wait for processes rather than for coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from queue import Queue
from typing import Any

from servers.daemon import PATIENCE_SECONDS, table, until
from servers.receiver import SECRET, Receiver


@dataclass(frozen=True, slots=True)
class Told:
    """One webhook as it arrived; `verified` by the public library of Standard Webhooks."""

    id: str
    event: dict[str, Any]
    body: bytes
    verified: bool

    @property
    def type(self) -> str:
        """As "recipient.failed"."""
        return str(self.event["type"])

    @property
    def recipient(self) -> str:
        """The recipient's address."""
        return str(self.event["data"]["recipient"]["address"])

    @property
    def message_id(self) -> str:
        """Of the message that was sent."""
        return str(self.event["data"]["message"]["message_id"])

    @property
    def fact(self) -> tuple[str, str, str]:
        """What it says, to be compared."""
        return self.message_id, self.recipient, self.type


class BackgroundReceiver:
    """A receiver whose methods wait for what happens in its own thread."""

    def __init__(self, receiver: Receiver, loop: asyncio.AbstractEventLoop) -> None:
        self.receiver = receiver
        self._loop = loop

    @property
    def sink(self) -> str:
        """The table of the configuration that names it."""
        return self.sink_with()

    def sink_with(self, **settings: object) -> str:
        """The same with more settings. It hears of all but `message.settled`, which comes behind so many others."""
        common = {"kind": "webhook", "name": "receiver", "url": self.receiver.url, "secrets": [SECRET]}
        events = ["recipient.*", "report.*", "source.*", "sink.*"]
        return table("sinks", **{**common, "allow_private": True, "events": events, **settings})

    @property
    def told(self) -> list[Told]:
        """Every request so far, in the order of arrival."""
        return [
            Told(one.id, json.loads(one.body), one.body, bool(one.verified_by)) for one in list(self.receiver.received)
        ]

    def wait_for(
        self, condition: Callable[[list[Told]], bool], what: str = "webhooks", seconds: float = PATIENCE_SECONDS
    ) -> list[Told]:
        """Every request, once they fulfil a condition."""
        until(lambda: condition(self.told), lambda: f"{what}; so far {[one.fact for one in self.told]}", seconds)
        return self.told

    def wait_for_events(self, count: int, seconds: float = PATIENCE_SECONDS) -> list[Told]:
        """Every request, once so many different events have come."""
        return self.wait_for(lambda told: len({one.id for one in told}) >= count, f"{count} events", seconds)

    def go_away(self) -> None:
        """Listen no more."""
        self.do(self.receiver.stop())

    def come_back(self) -> None:
        """Listen again, on the same port."""
        self.do(self.receiver.start())

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done in the receiver's own thread."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)


@contextlib.contextmanager
def receiving() -> Iterator[BackgroundReceiver]:
    """A receiver that takes everything, until told otherwise."""
    loops: Queue[asyncio.AbstractEventLoop] = Queue()
    stop = asyncio.Event()

    async def serve() -> None:
        loops.put(asyncio.get_running_loop())
        await stop.wait()

    # asyncio.run cancels what still waits at the end: an answer that a test has put off for ever.
    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    loop = loops.get(timeout=PATIENCE_SECONDS)
    try:
        receiver = BackgroundReceiver(Receiver(), loop)
        receiver.come_back()
        try:
            yield receiver
        finally:
            receiver.go_away()
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
