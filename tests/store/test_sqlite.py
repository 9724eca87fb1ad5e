from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from mdnwatch.errors import CommitFailed, StoreError
from mdnwatch.store.migrate import migrations
from mdnwatch.store.sqlite import Store, connect_for_reading


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path / "state")
    await store.open()
    yield store
    await store.close()


def put(name: str) -> Callable[[sqlite3.Connection], str]:
    def work(db: sqlite3.Connection) -> str:
        db.execute("INSERT INTO maildir_name VALUES ('a', 'INBOX', ?)", (name,))
        return name

    return work


def names(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM maildir_name")}


def put_and_fail(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO maildir_name VALUES ('a', 'INBOX', 'half')")
    raise ValueError("bad message")


@pytest.mark.asyncio
async def test_what_run_returned_from_is_on_disk(store: Store) -> None:
    assert await store.run(put("one")) == "one"
    with closing(sqlite3.connect(store.path)) as other:
        assert names(other) == {"one"}


@pytest.mark.asyncio
async def test_a_unit_that_raises_keeps_nothing_and_harms_no_other_of_its_group(store: Store) -> None:
    results = await asyncio.gather(
        store.run(put("one")),
        store.run(put_and_fail),
        store.run(put("two")),
        return_exceptions=True,
    )
    assert [str(result) for result in results] == ["one", "bad message", "two"]
    assert await store.read(names) == {"one", "two"}


def fill_the_disk(db: sqlite3.Connection) -> None:
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    try:
        db.executemany("INSERT INTO maildir_name VALUES ('a', 'INBOX', ?)", ((f"{n:0200}",) for n in range(10_000)))
    finally:
        db.execute("PRAGMA max_page_count = 1073741823")


@pytest.mark.asyncio
async def test_when_the_database_is_full_nothing_of_the_unit_is_kept_and_the_next_is(store: Store) -> None:
    with pytest.raises((CommitFailed, sqlite3.OperationalError), match="full"):
        await store.run(fill_the_disk)
    await store.run(put("after"))
    assert await store.read(names) == {"after"}


def lose_the_transaction(db: sqlite3.Connection) -> None:
    """What SQLite does on some I/O errors: the whole transaction is gone, not just the savepoint."""
    db.execute("ROLLBACK")
    raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.asyncio
async def test_when_the_transaction_is_lost_every_unit_of_the_group_hears_of_it(store: Store) -> None:
    results = await asyncio.gather(
        store.run(put("one")),
        store.run(lose_the_transaction),
        return_exceptions=True,
    )
    # The first unit may have been a group of its own, since the writer does not wait for company.
    kept = await store.read(names)
    assert isinstance(results[1], CommitFailed)
    assert (results[0] == "one") == (kept == {"one"})
    assert await store.run(put("after")) == "after"


@pytest.mark.asyncio
async def test_after_tidying_no_byte_of_what_was_deleted_is_left_and_units_around_it_are_kept(store: Store) -> None:
    for number in range(300):
        # Names of all lengths, which move from page to page as others come between them.
        await store.run(put(f"{number * 7919 % 300:03}-hush-hush-{'x' * (number % 50)}"))
    await store.run(lambda db: db.execute("DELETE FROM maildir_name WHERE name LIKE '%hush%'").rowcount)
    _, is_tidy, _ = await asyncio.gather(store.run(put("before")), store.tidy(), store.run(put("after")))
    assert is_tidy
    assert await store.read(names) == {"before", "after"}
    assert b"hush" not in b"".join(file.read_bytes() for file in store.path.parent.iterdir())


@pytest.mark.asyncio
async def test_tidying_says_when_a_reader_keeps_old_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdnwatch.store.sqlite.BUSY_TIMEOUT_SECONDS", 0.05)
    other = Store(store.path.parent.with_name("other"))
    await other.open()
    await other.run(put("one"))
    with closing(connect_for_reading(other.path)) as reader:
        reader.execute("BEGIN")
        names(reader)
        await other.run(put("two"))
        assert not await other.tidy()
    assert await other.tidy()
    await other.close()


@pytest.mark.asyncio
async def test_a_second_owner_of_the_state_dir_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match=f"in use by another mdnwatch \\(process {os.getpid()}\\)"):
        await Store(store.path.parent).open()


@pytest.mark.asyncio
async def test_after_close_another_may_own_it(tmp_path: Path) -> None:
    for _ in range(2):
        store = Store(tmp_path)
        await store.open()
        await store.close()


@pytest.mark.asyncio
async def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    await store.open()
    await store.close()
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("PRAGMA user_version = 9000")
    with pytest.raises(StoreError, match=r"written by a newer mdnwatch \(schema 9000"):
        await Store(tmp_path).open()
    # The lock is free again.
    with closing(sqlite3.connect(store.path)) as db:
        db.execute(f"PRAGMA user_version = {max(migrations())}")
    again = Store(tmp_path)
    await again.open()
    await again.close()


@pytest.mark.asyncio
async def test_a_file_that_is_no_database_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "mdnwatch.sqlite3").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StoreError, match="move it away, or restore it"):
        await Store(tmp_path).open()


@pytest.mark.asyncio
async def test_nobody_else_can_read_the_database(store: Store) -> None:
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


@pytest.mark.asyncio
async def test_reading_can_change_nothing(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await store.read(put("x"))


def test_reading_where_nothing_ran_yet_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has not run with this state_dir yet"):
        connect_for_reading(tmp_path / "mdnwatch.sqlite3")


@pytest.mark.asyncio
async def test_reading_what_another_version_wrote_is_refused_in_words(store: Store) -> None:
    await store.close()
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("PRAGMA user_version = 1")
    with pytest.raises(StoreError, match="was written by another version of mdnwatch"):
        connect_for_reading(store.path)


@pytest.mark.asyncio
async def test_a_cancelled_caller_does_not_stop_the_writer(store: Store) -> None:
    task = asyncio.ensure_future(store.run(put("one")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.run(put("two")) == "two"


def test_migrations_are_numbered_without_a_gap() -> None:
    assert list(migrations()) == list(range(1, len(migrations()) + 1))
