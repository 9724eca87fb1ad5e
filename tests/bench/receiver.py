"""A webhook receiver that does nothing but note what came when: aiohttp, as users write one."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator

from aiohttp import web

HOST = "127.0.0.1"

# Every report of a measurement is about a message of its own, whose number stands in what is POSTed.
_NUMBER = re.compile(rb"<bench-(\d+)@")


class Receiver:
    """What came: `came` maps numbers to time.monotonic() of their first request; `requests` counts all."""

    def __init__(self) -> None:
        self.came: dict[int, float] = {}
        self.requests = 0
        self.port = 0
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        """Where to POST."""
        return f"http://{HOST}:{self.port}/hook"

    async def take(self, request: web.Request) -> web.Response:
        """Note one request, and accept it."""
        body = await request.read()
        now, number = time.monotonic(), _NUMBER.search(body)
        with self._changed:
            self.requests += 1
            if number is not None:
                self.came.setdefault(int(number[1]), now)
            self._changed.notify_all()
        return web.Response()

    def wait_for(self, numbers: Iterable[int], seconds: float) -> float:
        """Until all these have come; when the last one did."""
        wanted = set(numbers)
        with self._changed:
            if not self._changed.wait_for(lambda: wanted <= self.came.keys(), seconds):
                missing = len(wanted - self.came.keys())
                raise AssertionError(f"{missing} of {len(wanted)} webhooks did not come within {seconds:g} s")
            return max(self.came[number] for number in wanted)

    def wait_for_requests(self, count: int, seconds: float) -> None:
        """Until so many requests have come."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.requests >= count, seconds):
                raise AssertionError(f"{self.requests} of {count} webhooks came within {seconds:g} s")


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver in a thread of its own."""
    receiver, loop, ready = Receiver(), asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        application = web.Application()
        application.router.add_post("/hook", receiver.take)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        receiver.port = int(runner.addresses[0][1])
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


if __name__ == "__main__":
    # In a process of its own: it says its port, and ends with its standard input.
    with receiving() as alone:
        print(alone.port, flush=True)
        sys.stdin.read()
