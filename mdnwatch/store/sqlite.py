"""The embedded store: SQLite with one writer thread that commits units of work in groups."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mdnwatch.errors import CommitFailed, StoreError
from mdnwatch.store.migrate import check, migrate

T = TypeVar("T")

DATABASE_NAME = "mdnwatch.sqlite3"
LOCK_NAME = "lock"

# Units of work that share one sync of the disk. More would only make the first of them wait longer.
MAX_GROUP = 64

# How long to wait for a reader of another process, as a backup tool, before a write fails.
BUSY_TIMEOUT_SECONDS = 10.0

# 8 MiB of pages: the upper levels of the indexes of a million sent messages, and what a batch changes.
CACHE_KIB = 8 * 1024


@dataclass(slots=True)
class _Job:
    """One unit of work on its way to the writer thread and back."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    alone: bool = False  # outside of any transaction
    result: Any = None
    error: BaseException | None = None


class Store:
    """The database of one `state_dir`, owned by this process from `open` to `close`."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-reader")
        self._lock_file: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def path(self) -> Path:
        """Where the database stands."""
        return self._state_dir / DATABASE_NAME

    async def open(self) -> None:
        """Lock `state_dir`, bring the schema up to date and start the writer. Raises StoreError."""
        self._loop = asyncio.get_running_loop()
        self._lock_file = _lock(self._state_dir)
        try:
            connection = await asyncio.to_thread(_connect_for_writing, self.path)
        except BaseException:
            self._unlock()
            raise
        self._thread = threading.Thread(target=self._write, args=(connection,), name="store-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Finish what is queued, and let go of the database and the lock."""
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        await asyncio.to_thread(self._reader.shutdown)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a unit of work in the writer thread; when this returns, it is on disk.

        What `work` raises is raised here, and nothing of it is kept. Raises CommitFailed when the group could
        not be committed: then nothing of it happened. A caller that is cancelled does not know which.
        """
        if self._loop is None or self._thread is None:
            raise StoreError("the store is not open")
        job = _Job(work, self._loop.create_future())
        self._jobs.put(job)
        result: T = await job.future
        return result

    async def tidy(self) -> bool:
        """Write the file anew, so that no byte of what was deleted is left in it or in the write-ahead log.

        False where another process is reading: then some may be left in the log until that one ends. Holds up the
        writer for as long as a copy of the file takes. Raises StoreError.
        """
        if self._loop is None or self._thread is None:
            raise StoreError("the store is not open")
        job = _Job(_tidied, self._loop.create_future(), alone=True)
        self._jobs.put(job)
        return bool(await job.future)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the database without holding up the writer; sees what is committed."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._read, work)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with contextlib.closing(connect_for_reading(self.path)) as connection:
            return work(connection)

    def _write(self, connection: sqlite3.Connection) -> None:
        """The writer thread: whatever has queued up while the last group was written is the next group."""
        with contextlib.closing(connection):
            while (job := self._jobs.get()) is not None:
                group, last = self._gather(job)
                together = [one for one in group if not one.alone]
                if together:
                    _write_group(connection, together)
                if group[-1].alone:
                    _do_alone(connection, group[-1])
                self._report(group)
                if last:
                    break
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        """Jobs for one transaction; one that is done alone comes last."""
        group = [first]
        while len(group) < MAX_GROUP and not group[-1].alone:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return group, True
            group.append(job)
        return group, False

    def _report(self, group: list[_Job]) -> None:
        if self._loop is None or self._loop.is_closed():
            return
        # RuntimeError: the loop was closed in the meantime; nobody waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_resolve, group)


def _resolve(group: list[_Job]) -> None:
    for job in group:
        if job.future.cancelled():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


def _write_group(connection: sqlite3.Connection, group: list[_Job]) -> None:
    """Each unit in a savepoint of its own, all in one transaction: one sync of the disk."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        for job in group:
            _do(connection, job)
        connection.execute("COMMIT")
    except BaseException as error:  # noqa: BLE001 - whatever it was, every caller has to hear of it
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        for job in group:
            job.error = CommitFailed(f"the database could not be written: {error}")


def _do(connection: sqlite3.Connection, job: _Job) -> None:
    connection.execute("SAVEPOINT unit")
    try:
        job.result = job.work(connection)
    except Exception as error:
        # A full disk or an I/O error ends the whole transaction, not just the savepoint.
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO unit")
        job.error = error
    connection.execute("RELEASE unit")


def _do_alone(connection: sqlite3.Connection, job: _Job) -> None:
    try:
        job.result = job.work(connection)
    except sqlite3.Error as error:
        job.error = StoreError(f"the database could not be written anew: {error}")


def _tidied(connection: sqlite3.Connection) -> bool:
    # In memory the copy would take as much of that as the file is large. The file it is in bears no name.
    connection.execute("PRAGMA temp_store = FILE")
    try:
        connection.execute("VACUUM")
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute("PRAGMA temp_store = MEMORY")
    return bool(busy == 0)


@contextlib.contextmanager
def locked(state_dir: Path) -> Iterator[None]:
    """Own a `state_dir` without a store until the block is left. Raises StoreError where a daemon owns it."""
    lock = _lock(state_dir)
    try:
        yield
    finally:
        os.close(lock)


def _lock(state_dir: Path) -> int:
    """An exclusive lock for as long as the descriptor is open: it ends with the process, however that ends."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"state_dir {state_dir} cannot be used ({error.strerror}): give mdnwatch a directory that it may write to"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StoreError(
            f"state_dir {state_dir} is in use by another mdnwatch (process {owner}): "
            "stop that one, or give this one a state_dir of its own"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode("ascii"), 0)
    return lock


def _connect_for_writing(path: Path) -> sqlite3.Connection:
    # The database names people: nobody but its owner reads it.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A state that was announced must survive a power cut.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        # What is deleted is overwritten, not only marked as free.
        connection.execute("PRAGMA secure_delete = ON")
        # No page with an address in it goes to a temporary file elsewhere; a death would leave the file behind.
        connection.execute("PRAGMA temp_store = MEMORY")
        migrate(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StoreError(f"{path} cannot be used: {error}; move it away, or restore it from a backup") from None
    except BaseException:
        connection.close()
        raise
    return connection


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that can change nothing. Raises StoreError where there is no database of this version."""
    if not path.exists():
        raise StoreError(f"{path} does not exist: mdnwatch has not run with this state_dir yet")
    try:
        connection = sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_SECONDS)
        connection.execute("PRAGMA query_only = ON")
        check(connection, path)
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from None
    connection.isolation_level = None
    return connection


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
