"""The notification protocol of systemd (sd_notify(3)): ready, stopping, alive."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell systemd, as "READY=1" or "STATUS=watching 3 accounts"; several are separated by line ends.

    Does nothing where nobody asked to be told. Raises OSError when the socket that was named cannot be reached.
    """
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # An address in the abstract namespace is written with "@" for its NUL (unix(7)).
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect(address)
        channel.sendall(state.encode("utf-8"))


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between two "WATCHDOG=1": half of what systemd allows (sd_watchdog_enabled(3)); None: not asked for."""
    allowed = environ.get("WATCHDOG_USEC", "")
    meant_for = environ.get("WATCHDOG_PID", str(os.getpid()))
    if not allowed.isdecimal() or int(allowed) == 0 or meant_for != str(os.getpid()):
        return None
    return int(allowed) / 1_000_000 / 2
