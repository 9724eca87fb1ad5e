"""How far each folder has been handled; plain functions over a connection."""

from __future__ import annotations

import sqlite3

from mdnwatch.model.received import Checkpoint, Mark


def load_mark(db: sqlite3.Connection, account: str, folder: str) -> Mark | None:
    """The mark of an IMAP folder; None where it was never looked at."""
    row = db.execute(
        "SELECT uidvalidity, live, backfill_from, backfill_to FROM mark WHERE account = ? AND folder = ?",
        (account, folder),
    ).fetchone()
    return Mark(*row) if row else None


def load_names(db: sqlite3.Connection, account: str, folder: str) -> frozenset[str]:
    """The unique names of a Maildir folder that are handled."""
    rows = db.execute("SELECT name FROM maildir_name WHERE account = ? AND folder = ?", (account, folder))
    return frozenset(name for (name,) in rows)


def save_checkpoint(db: sqlite3.Connection, checkpoint: Checkpoint) -> None:
    """Keep what a batch leaves behind."""
    where = (checkpoint.account, checkpoint.folder)
    if checkpoint.mark is not None:
        mark = checkpoint.mark
        db.execute(
            "INSERT INTO mark (account, folder, uidvalidity, live, backfill_from, backfill_to)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account, folder) DO UPDATE SET uidvalidity = excluded.uidvalidity,"
            " live = excluded.live, backfill_from = excluded.backfill_from, backfill_to = excluded.backfill_to",
            (*where, mark.uidvalidity, mark.live, mark.backfill_from, mark.backfill_to),
        )
    db.executemany(
        "DELETE FROM maildir_name WHERE account = ? AND folder = ? AND name = ?",
        [(*where, name) for name in checkpoint.gone],
    )
    db.executemany(
        "INSERT INTO maildir_name (account, folder, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(*where, name) for name in checkpoint.names],
    )
