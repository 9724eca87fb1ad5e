"""The schema's numbered steps: each runs once, in a transaction of its own."""

from __future__ import annotations

import re
import sqlite3
from importlib import resources
from pathlib import Path

from mdnwatch.errors import StoreError

_NAME = re.compile(r"(\d{4})_\w+\.sql")


def migrations() -> dict[int, str]:
    """The SQL of each step by its number, in order."""
    found: dict[int, str] = {}
    for entry in resources.files("mdnwatch.store.migrations").iterdir():
        match = _NAME.fullmatch(entry.name)
        if match:
            found[int(match[1])] = entry.read_text("utf-8")
    return dict(sorted(found.items()))


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date. Raises StoreError when a newer program has written the database."""
    steps = migrations()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    newest = max(steps)
    if version > newest:
        raise StoreError(
            f"{path} was written by a newer mdnwatch (schema {version}, this one knows {newest}): "
            "install the newer version again, or give this one another state_dir"
        )
    for number, sql in steps.items():
        if number > version:
            _step(connection, number, sql)


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StoreError where the schema is not that of this program, and may only be read."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    newest = max(migrations())
    if version != newest:
        raise StoreError(
            f"{path} was written by another version of mdnwatch (schema {version}, this one knows {newest}): "
            "ask with that version, or let `mdnwatch run` of this one bring an older database up to date"
        )


def _step(connection: sqlite3.Connection, number: int, sql: str) -> None:
    try:
        # executescript runs outside of any transaction of ours, so the script brings its own.
        connection.executescript(f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
