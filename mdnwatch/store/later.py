"""Rows that a batch writes at its end, those of a table together."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Protocol


class Writes(Protocol):
    """Where a row goes that is written without a look at what is there: into a database, or into `Later`."""

    def execute(self, sql: str, parameters: Sequence[Any], /) -> object:
        """Write it, now or later."""
        ...


class Later:
    """Rows that nothing reads before they are written.

    SQLite takes a row in half of the time when the last one was of the same table: what it works on is at hand then.
    """

    def __init__(self) -> None:
        self._rows: dict[str, list[Sequence[Any]]] = {}

    def execute(self, sql: str, parameters: Sequence[Any], /) -> None:
        """Keep a row for `write`."""
        self._rows.setdefault(sql, []).append(parameters)

    def write(self, db: sqlite3.Connection) -> None:
        """Write what has been kept, in the order in which the tables came."""
        for sql, rows in self._rows.items():
            db.executemany(sql, rows)
        self._rows.clear()
