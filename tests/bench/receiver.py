"""A webhook receiver that does next to nothing: it notes what came when, and answers 200."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import threading
import time
from collections.abc import Iterator
from queue import Queue

# Every report of a measurement is about a message of its own, whose number stands in what is POSTed.
_NUMBER = re.compile(rb"<bench-(\d+)[.@]")
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

HOST = "127.0.0.1"


class Receiver:
    """What came: number to time.monotonic() of its first request; `requests` counts all."""

    def __init__(self) -> None:
        self.came: dict[int, float] = {}
        self.requests = 0
        self.port = 0
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        """Where to POST."""
        return f"http://{HOST}:{self.port}/hook"

    def note(self, body: bytes) -> None:
        """Take one request."""
        now, number = time.monotonic(), _NUMBER.search(body)
        with self._changed:
            self.requests += 1
            if number is not None:
                self.came.setdefault(int(number[1]), now)
            self._changed.notify_all()

    def wait_for(self, numbers: set[int] | range, seconds: float) -> float:
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
                raise AssertionError(f"{self.requests} of {count} webhooks have come within {seconds:g} s")


class _Connection(asyncio.Protocol):
    """One client, which sends one request after the other."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            self._receiver.note(bytes(self._buffer[end + 4 : whole]))
            del self._buffer[:whole]
            self._transport.write(_ANSWER)  # type: ignore[attr-defined] # a stream's transport


async def serve(receiver: Receiver, ports: Queue[int]) -> None:
    """Listen on a free port, which is put into `ports`, until cancelled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(receiver), HOST, 0)
    async with server:
        ports.put(int(server.sockets[0].getsockname()[1]))
        await server.serve_forever()


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver in a thread of its own."""
    receiver, ports, loop = Receiver(), Queue[int](), asyncio.new_event_loop()
    task = loop.create_task(serve(receiver, ports))

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    receiver.port = ports.get()
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


if __name__ == "__main__":
    # In a process of its own: the port is told, and the end of standard input is the end.
    with receiving() as alone:
        print(alone.port, flush=True)
        sys.stdin.read()
