"""How fast and how often this process may connect to one host: shared by all accounts, so that no crowd storms it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from mdnwatch.errors import Cause, SourceError


class Logins:
    """Turns and places at hosts. `per_second` and `per_host` may be changed at any time."""

    def __init__(self, per_second: float, per_host: int) -> None:
        self.per_second = per_second
        self.per_host = per_host
        self._next: dict[str, float] = {}  # when the next connection to a host may begin, in the loop's time
        self._held: Counter[str] = Counter()

    async def turn(self, host: str, wait: Callable[[float], Awaitable[None]]) -> None:
        """Wait until it is one's turn to connect to a host, in the order of asking; `wait` takes seconds."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next.get(host, now))
        self._next[host] = turn + 1 / self.per_second
        if turn > now:
            await wait(turn - now)

    @contextmanager
    def place(self, host: str) -> Iterator[None]:
        """Hold one of the connections that are allowed to a host. Raises SourceError when all of them are held."""
        if self._held[host] >= self.per_host:
            why = f"all {self.per_host} connections that connections_per_host allows to {host} are in use"
            raise SourceError(why, Cause.TOO_MANY_CONNECTIONS)
        self._held[host] += 1
        try:
            yield
        finally:
            self._held[host] -= 1
            if not self._held[host]:
                del self._held[host]
