"""A network of a test's own, whose packets can be made to vanish: as behind a NAT that forgot the connection."""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import threading
from collections.abc import Awaitable, Callable

import pytest

_CLONE_NEWNET = 0x40000000  # linux/sched.h


def in_own_network(story: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine in a thread that has a loopback interface of its own. Skips where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("a network of its own needs root")
    failures: list[BaseException] = []

    def run() -> None:
        try:
            # Namespaces belong to threads: what this one opens and starts is in the new network.
            if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
                pytest.skip(f"no network of its own: {os.strerror(ctypes.get_errno())}")
            swallow_packets(swallow=False)
            asyncio.run(_awaited(story))
        except BaseException as error:  # noqa: BLE001 - it is raised where the test waits
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


async def _awaited(story: Callable[[], Awaitable[None]]) -> None:
    await story()


def swallow_packets(*, swallow: bool) -> None:
    """Let every packet of this network vanish without a word, or let them pass again."""
    subprocess.run(["ip", "link", "set", "lo", "down" if swallow else "up"], check=True)
