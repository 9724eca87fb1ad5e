"""The keys of stamps in the database; plain functions over a connection."""

from __future__ import annotations

import secrets
import sqlite3
from datetime import datetime

from mdnwatch.model.stored import to_ms
from mdnwatch.model.token import KEY_ID_LENGTH, Keyring, base32
from mdnwatch.store.setting_queries import SECRET_BYTES


def keyring(db: sqlite3.Connection) -> Keyring:
    """All keys, the newest last."""
    return {key_id: bytes(secret) for key_id, secret in db.execute("SELECT id, secret FROM stamp_key ORDER BY number")}


def add_key(db: sqlite3.Connection, now: datetime) -> str:
    """Make a key, with which tokens are made from now on; its id."""
    key_id = base32(secrets.token_bytes(5))[:KEY_ID_LENGTH]
    db.execute(
        "INSERT INTO stamp_key (id, secret, created_at) VALUES (?, ?, ?)",
        (key_id, secrets.token_bytes(SECRET_BYTES), to_ms(now)),
    )
    return key_id
