"""Whether every task meets its own deadline; what systemd's watchdog is fed by."""

from __future__ import annotations

import time
from collections.abc import Callable


class Watchdog:
    """Collects the beats of tasks. A task that was never heard has the same time as one that was just heard."""

    # Seconds between two looks.
    INTERVAL = 10.0

    # Tasks beat at least every 30 seconds, back-off included; a loaded machine gets twice that.
    DEADLINE = 60.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: dict[str, float] = {}

    def deadline(self, name: str) -> Callable[[], None]:
        """What the task of that name is to call at least every 30 seconds."""
        self._heard[name] = self._clock()

        def beat() -> None:
            if name in self._heard:
                self._heard[name] = self._clock()

        return beat

    def forget(self, name: str) -> None:
        """The task of that name has ended as it should."""
        self._heard.pop(name, None)

    def late(self) -> list[str]:
        """The tasks that were not heard within the deadline, in order of their names."""
        oldest = self._clock() - self.DEADLINE
        return sorted(name for name, heard in self._heard.items() if heard < oldest)
