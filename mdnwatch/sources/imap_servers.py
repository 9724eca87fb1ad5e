"""Servers that need another pace than most, and how each is recognised: a table, with the reason for each row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Server:
    """A kind of server. It is one of these if its ID (RFC 2971), its greeting or the name of its host fits.

    `idle_renewal`: at most so long in IDLE. `slow_idle`: it tells of new mail late, so it is polled beside IDLE.
    """

    name: str
    reason: str
    identity: str = ""  # regular expressions; "" fits nothing
    greeting: str = ""
    host: str = ""
    idle_renewal: timedelta | None = None
    slow_idle: bool = False


SERVERS = (
    Server(
        "Courier-IMAP",
        "measured with 5.0: IDLE announces new mail after 60 s",
        identity=r"Courier",
        greeting=r"Courier-IMAP",
        slow_idle=True,
    ),
    Server(
        "GMX and WEB.DE",
        "seen by others: connections in IDLE fall silent without being closed",
        host=r"(^|\.)(gmx\.(net|de|at|ch|com)|web\.de)$",
        idle_renewal=timedelta(seconds=60),
    ),
    Server(
        "Yandex",
        "seen by others: connections in IDLE are dropped after some minutes, and an old one may tell nothing",
        host=r"(^|\.)yandex\.(ru|com|net)$",
        idle_renewal=timedelta(seconds=60),
    ),
)


def recognise(identity: Mapping[str, str], greeting: str, host: str) -> Server | None:
    """The first row that fits; None for a server without quirks. `identity` is its answer to ID."""
    known = " ".join(identity.get(field, "") for field in ("name", "vendor"))
    for server in SERVERS:
        fits = ((server.identity, known), (server.greeting, greeting), (server.host, host.lower().rstrip(".")))
        if any(pattern and re.search(pattern, text) for pattern, text in fits):
            return server
    return None
