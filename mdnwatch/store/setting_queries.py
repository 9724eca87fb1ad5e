"""What the database keeps for itself by name: secrets that it makes; plain functions over a connection."""

from __future__ import annotations

import secrets
import sqlite3

SECRET_BYTES = 32


def secret(db: sqlite3.Connection, name: str) -> bytes:
    """The secret of a name, made at its first use."""
    row = db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    if row is not None:
        return bytes(row[0])
    made = secrets.token_bytes(SECRET_BYTES)
    db.execute("INSERT INTO setting (name, value) VALUES (?, ?)", (name, made))
    return made
