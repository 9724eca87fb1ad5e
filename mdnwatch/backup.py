"""A consistent copy of what is known, made while the daemon runs, and its way back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from mdnwatch import private_file
from mdnwatch.errors import MdnwatchError
from mdnwatch.store.migrate import migrations
from mdnwatch.store.sqlite import DATABASE_NAME, connect_for_reading, locked

MODE = 0o600  # it names people


def make(state_dir: Path, target: Path, *, force: bool) -> Iterator[str]:
    """Copy the database of a `state_dir` into one file; what was done, a line each. Raises MdnwatchError."""
    if target.exists() and not force:
        raise MdnwatchError(f"{target}: is there already: name another file, or say --force")
    with closing(connect_for_reading(state_dir / DATABASE_NAME)) as source, _draft(target) as draft:
        _copy(source, draft)
        draft.replace(target)
    yield f"{target}: {_contents(target)}"


def restore(state_dir: Path, source: Path, now: datetime, *, force: bool) -> Iterator[str]:
    """Put a copy in the place of the database; what was done, a line each. Raises MdnwatchError.

    A database that is there already is kept under another name. No daemon may run on `state_dir`.
    """
    contents = _contents(source)
    path = state_dir / DATABASE_NAME
    with locked(state_dir):
        if path.exists() and not force:
            raise MdnwatchError(f"{path}: is there already: name another state_dir, or say --force to put it aside")
        with _draft(path) as draft:
            with closing(_opened(source)) as connection:
                _copy(connection, draft)
            # Root restores for the daemon's own user.
            private_file.give_to_owner(draft, state_dir)
            if path.exists():
                yield f"put aside: {_put_aside(path, now)}"
            draft.replace(path)
    yield f"{path}: {contents}"
    yield "what came after this copy was made is read again and told again, under the ids that it had"


def _copy(source: sqlite3.Connection, target: Path) -> None:
    # In one step: SQLite begins anew whenever something is written between two of them.
    with closing(sqlite3.connect(target)) as copy:
        try:
            source.backup(copy)
            # A file that stands alone, without a write-ahead log beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = copy.execute("PRAGMA quick_check").fetchone()
        except sqlite3.Error as error:
            raise MdnwatchError(f"{target.parent}: the copy could not be written: {error}") from None
    if verdict != "ok":
        raise MdnwatchError(f"the database is damaged ({verdict}): restore an older copy")


def _opened(path: Path) -> sqlite3.Connection:
    """A copy, perhaps of an older version: the daemon brings it up to date when it starts."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _contents(path: Path) -> str:
    """What a copy holds, in words. Raises MdnwatchError for what is none that this program can use."""
    if not path.exists():
        raise MdnwatchError(f"{path}: no such file")
    try:
        with closing(_opened(path)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > max(migrations()):
                raise MdnwatchError(f"{path} was made by a newer mdnwatch: install that one first")
            sent, reports, events = (
                db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - constants
                for table in ("sent_message", "report", "event")
            )
    except sqlite3.Error as error:
        raise MdnwatchError(f"{path} is no copy of mdnwatch's database: {error}") from None
    return f"{sent} sent messages, {reports} reports, {events} events"


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A new file beside the target, which becomes the target or vanishes; nobody else can read it."""
    draft = target.with_name(f".{target.name}.draft")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE))
    except OSError as error:
        raise MdnwatchError(f"{target}: {error.strerror}: name another place") from None
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _put_aside(path: Path, now: datetime) -> Path:
    """Rename a database, with what still stands in its write-ahead log; its new name."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as db:
        # Into one file; one that is damaged keeps its log.
        db.execute("PRAGMA journal_mode = DELETE")
    aside = path.with_name(f"{path.name}.before-restore-{now:%Y%m%dT%H%M%SZ}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
