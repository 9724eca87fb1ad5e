"""The Maildir source on files, as delivery agents and mail programs leave them."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sources.recorder import NO_STATE, Recorder, only, running

from mdnwatch.errors import Cause
from mdnwatch.model.outage import Trouble
from mdnwatch.model.received import Role, Wanted
from mdnwatch.sources import base, maildir, maildir_folder
from mdnwatch.sources.base import SourceState
from mdnwatch.sources.maildir import MaildirSource
from mdnwatch.sources.maildir_folder import Folder

DAY = 86400.0
NUMBERS = itertools.count(1)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is missing is looked for again soon."""
    monkeypatch.setattr(base, "LONGEST_PAUSE_SECONDS", 0.05)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "Maildir"
    make(path)
    make(path / ".Sent")
    return path


def make(path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)


def report(number: int) -> bytes:
    return f"Subject: report {number}\n\ndisplayed\n".encode()


def deliver(folder: Path, message: bytes, *, age: float = 0.0, to: str = "new", flags: str = "") -> Path:
    """Write to tmp, then move, as every delivery agent does; `age` in seconds."""
    name = f"{int(time.time() - age)}.M{next(NUMBERS)}P1.host{flags}"
    written = folder / "tmp" / name
    written.write_bytes(message)
    if age:
        os.utime(written, (time.time() - age,) * 2)
    return written.rename(folder / to / name)


def source(root: Path, recorder: Recorder, **others: object) -> MaildirSource:
    table: dict[str, Any] = {"name": "app", "path": root, "addresses": ["app@example.org"], "poll_interval": "10ms"}
    return maildir.build(maildir.SETTINGS.model_validate({**table, **others}), recorder.context())


@asynccontextmanager
async def watched(root: Path, recorder: Recorder, **others: object) -> AsyncIterator[MaildirSource]:
    one = source(root, recorder, **others)
    async with running(one):
        await recorder.until(lambda: one.health().state is SourceState.UP)
        yield one


async def some_looks(recorder: Recorder) -> None:
    """Long enough for several looks at everything."""
    beats = recorder.beats
    await recorder.until(lambda: recorder.beats > beats + 20)


def subjects(recorder: Recorder, role: Role = Role.INBOX) -> list[int]:
    return [int(message.data.split()[2]) for message in recorder.messages if message.role is role]


def deliver_by_bytes(root: Path, name: bytes, message: bytes) -> None:
    """A file whose name is no UTF-8."""
    written = root / "tmp" / os.fsdecode(name)
    written.write_bytes(message)
    written.rename(root / "new" / written.name)


def move(path: Path, to: Path) -> Path:
    return path.rename(to)


def write_protect(path: Path) -> None:
    path.chmod(0o555)


def files(root: Path) -> dict[str, tuple[int, int, bytes]]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes()) for path in found}


@pytest.mark.asyncio
async def test_a_new_file_is_handed_over_with_its_place(root: Path) -> None:
    recorder = Recorder()
    async with watched(root, recorder):
        path = deliver(root, report(1))
        await recorder.until(lambda: len(recorder.messages) == 1)
    (message,) = recorder.messages
    assert (message.place.account, message.place.folder, message.place.name) == ("app", "INBOX", path.name)
    assert (message.place.uidvalidity, message.place.uid) == (0, 0)
    assert (message.data, message.size, message.announce) == (report(1), len(report(1)), True)
    assert abs(message.received_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert path.name in recorder.names["app", "INBOX"]


@pytest.mark.asyncio
async def test_a_message_that_is_read_or_flagged_is_the_same_message(root: Path) -> None:
    recorder = Recorder()
    async with watched(root, recorder):
        path = deliver(root, report(1))
        await recorder.until(lambda: subjects(recorder) == [1])
        read = path.rename(root / "cur" / f"{path.name}:2,")
        await some_looks(recorder)
        read.rename(root / "cur" / f"{path.name}:2,RS")
        deliver(root, report(2), to="cur", flags=":2,S")
        await recorder.until(lambda: 2 in subjects(recorder))
    async with watched(root, recorder):
        await some_looks(recorder)
    assert subjects(recorder) == [1, 2]


@pytest.mark.asyncio
async def test_the_first_run_begins_now_and_a_later_one_where_it_was(root: Path) -> None:
    recorder = Recorder()
    deliver(root, report(1), to="cur", flags=":2,S")
    deliver(root, report(2))
    await asyncio.sleep(0.1)  # what arrives in the very moment of the start counts as new
    async with watched(root, recorder):
        await some_looks(recorder)
        assert recorder.inbox == []
    deliver(root, report(3))
    async with watched(root, recorder):
        await recorder.until(lambda: subjects(recorder) == [3])
    assert recorder.inbox[0].announce


@pytest.mark.asyncio
async def test_an_empty_folder_is_watched_from_its_first_look_too(root: Path) -> None:
    recorder = Recorder()
    async with watched(root, recorder):
        await some_looks(recorder)
    deliver(root, report(1), age=100)
    async with watched(root, recorder):
        await recorder.until(lambda: subjects(recorder) == [1])


@pytest.mark.asyncio
async def test_what_arrives_between_start_and_first_look_is_new(root: Path) -> None:
    recorder = Recorder()
    one = source(root, recorder)
    deliver(root, report(1))
    async with running(one):
        await recorder.until(lambda: subjects(recorder) == [1])


@pytest.mark.asyncio
@pytest.mark.parametrize(("backfill", "expected"), [(None, []), ("30d", [1, 29]), ("all", [1, 29, 40, 400])])
async def test_the_first_run_goes_back_as_far_as_asked(root: Path, backfill: str | None, expected: list[int]) -> None:
    recorder = Recorder()
    for days in (400, 40, 29, 1):
        deliver(root, report(days), age=days * DAY)
        deliver(root / ".Sent", report(days), age=days * DAY, to="cur", flags=":2,S")
    await asyncio.sleep(0.1)
    async with watched(root, recorder, backfill=backfill):
        await recorder.until(lambda: subjects(recorder) == expected)
        deliver(root, report(0))
        await recorder.until(lambda: subjects(recorder) == [*expected, 0])
    assert [message.announce for message in recorder.inbox] == [False] * len(expected) + [True]
    # Sent goes as far back as reports are read, and 30 days at least.
    assert sorted(subjects(recorder, Role.SENT)) == ([1, 29, 40, 400] if backfill == "all" else [1, 29])


@pytest.mark.asyncio
async def test_a_backfill_that_was_interrupted_goes_on_and_announces_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maildir_folder, "BATCH_MESSAGES", 2)
    recorder = Recorder()
    for number in range(1, 7):
        deliver(root, report(number), age=1000 - number)
    one = source(root, recorder, backfill="all")
    async with running(one):
        await recorder.until(lambda: len(recorder.inbox) >= 2)
    deliver(root, report(7))
    async with watched(root, recorder, backfill="all"):
        await recorder.until(lambda: len(recorder.inbox) == 7)
    assert sorted(subjects(recorder)) == list(range(1, 8))
    assert [number for number in subjects(recorder) if number != 7] == [6, 5, 4, 3, 2, 1]
    assert [message.announce for message in recorder.inbox] == [number == 7 for number in subjects(recorder)]


@pytest.mark.asyncio
async def test_sent_mail_is_learnt_first_and_only_its_header(root: Path) -> None:
    recorder = Recorder()
    async with running(source(root, recorder)):
        deliver(root / ".Sent", report(1) + b"x" * 100_000, to="cur", flags=":2,S")
        deliver(root, report(2))
        await recorder.until(lambda: len(recorder.messages) == 2)
    sent, received = recorder.messages
    assert (sent.role, sent.data, sent.size) == (Role.SENT, b"Subject: report 1\n\n", len(report(1)) + 100_000)
    assert received.role is Role.INBOX


@pytest.mark.asyncio
async def test_nothing_is_changed(root: Path) -> None:
    recorder = Recorder()
    for number in range(5):
        deliver(root, report(number), age=10, to="cur" if number % 2 else "new", flags=":2,S" if number % 2 else "")
        deliver(root / ".Sent", report(number), age=10)
    before = files(root)
    write_protect(root)
    async with watched(root, recorder, backfill="all"):
        await recorder.until(lambda: len(recorder.messages) == 10)
    assert files(root) == before


@pytest.mark.asyncio
async def test_folder_names_are_those_of_maildir_plus_plus(root: Path) -> None:
    make(root / ".Archive.&AMQ-mter")
    recorder = Recorder()
    async with watched(root, recorder, folders=["INBOX", "Archive/Ämter"]) as one:
        assert all(folder.found for folder in one.health().folders)
        deliver(root / ".Archive.&AMQ-mter", report(1))
        await recorder.until(lambda: subjects(recorder) == [1])
    assert recorder.inbox[0].place.folder == "Archive/Ämter"


@pytest.mark.asyncio
async def test_missing_folders_are_named_and_found_when_they_appear(tmp_path: Path) -> None:
    recorder, root = Recorder(), tmp_path / "Maildir"
    one = source(root, recorder)
    async with running(one):
        await recorder.until(lambda: one.health().state is SourceState.DOWN)
        assert str(root) in one.health().cause
        assert recorder.troubles[-1] == Trouble(Cause.FOLDER_GONE, one.health().cause)
        make(root)
        await recorder.until(lambda: one.health().state is SourceState.UP)
        assert recorder.troubles[-1] is None
        assert "there is no folder Sent" in one.health().sent
        make(root / ".Sent")
        deliver(root / ".Sent", report(1))
        await recorder.until(lambda: subjects(recorder, Role.SENT) == [1])
        assert one.health().sent == "Sent (as named)"
        deliver(root, report(2))
        await recorder.until(lambda: subjects(recorder) == [2])


@pytest.mark.asyncio
async def test_a_maildir_that_is_away_for_a_while_is_not_read_anew(root: Path) -> None:
    recorder = Recorder()
    deliver(root, report(1))
    await asyncio.sleep(0.1)
    async with watched(root, recorder) as one:
        deliver(root, report(2))
        await recorder.until(lambda: subjects(recorder) == [2])
        away = move(root, root.with_name("away"))
        await recorder.until(lambda: one.health().state is SourceState.DOWN)
        move(away, root)
        deliver(root, report(3))
        await recorder.until(lambda: subjects(recorder) == [2, 3])


@pytest.mark.asyncio
async def test_a_batch_that_is_not_stored_is_handed_over_again(root: Path) -> None:
    recorder = Recorder()
    async with watched(root, recorder) as one:
        recorder.commits_to_fail = 2
        deliver(root, report(1))
        await recorder.until(lambda: one.health().cause == "the disk is full")
        await recorder.until(lambda: subjects(recorder) == [1])


@pytest.mark.asyncio
async def test_a_failed_first_commit_does_not_make_old_mail_new(root: Path) -> None:
    recorder = Recorder()
    recorder.commits_to_fail = 3
    deliver(root, report(1))
    await asyncio.sleep(0.1)
    async with watched(root, recorder):
        deliver(root, report(2))
        await recorder.until(lambda: subjects(recorder) == [2])


@pytest.mark.asyncio
async def test_what_is_not_wanted_is_not_handed_over_and_is_done(root: Path) -> None:
    recorder = Recorder(wanted=only(b"report 2"))
    async with watched(root, recorder):
        for number in (1, 2, 3):
            deliver(root, report(number))
        await recorder.until(lambda: len(recorder.names["app", "INBOX"]) == 4)
    assert subjects(recorder) == [2]


@pytest.mark.asyncio
async def test_of_what_is_wanted_for_its_header_nothing_else_is_handed_over(root: Path) -> None:
    recorder = Recorder(wanted=only(b"report", Wanted.HEADER))
    async with watched(root, recorder):
        deliver(root, report(1))
        await recorder.until(lambda: subjects(recorder) == [1])
    assert [(message.data, message.size) for message in recorder.inbox] == [(b"Subject: report 1\n\n", len(report(1)))]


@pytest.mark.asyncio
async def test_large_messages_are_cut_and_batches_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maildir_folder, "BATCH_BYTES", 150_000)
    recorder = Recorder()
    async with watched(root, recorder, max_message_size="64KiB"):
        for number in range(6):
            deliver(root, report(number) + b"x" * 100_000)
        await recorder.until(lambda: len(recorder.inbox) == 6)
    assert {len(message.data) for message in recorder.inbox} == {65536}
    assert {message.size for message in recorder.inbox} == {len(report(1)) + 100_000}
    assert max(len(batch.messages) for batch in recorder.batches) <= 3


@pytest.mark.asyncio
async def test_what_cannot_be_opened_is_told_once_and_does_not_stop_the_others(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    really = maildir_folder._read

    def failing(entry: maildir_folder.Entry, *others: Any) -> bytes | None:  # noqa: ANN401 - whatever it takes
        if Path(entry.path).read_bytes() == report(1):
            raise OSError(5, "Input/output error")
        return really(entry, *others)

    monkeypatch.setattr(maildir_folder, "_read", failing)
    async with watched(root, recorder) as one:
        deliver(root, report(1))
        deliver(root, report(2))
        await recorder.until(lambda: subjects(recorder) == [2])
        await some_looks(recorder)
        assert [event for event, _ in recorder.logged].count("message cannot be read") == 1
        monkeypatch.setattr(maildir_folder, "_read", really)
        await recorder.until(lambda: subjects(recorder) == [2, 1])
        assert one.health().state is SourceState.UP


@pytest.mark.asyncio
async def test_two_thousand_files_at_once_are_each_handed_over_once(root: Path) -> None:
    recorder = Recorder()
    async with watched(root, recorder):
        for number in range(2000):
            deliver(root, report(number))
        await recorder.until(lambda: len(recorder.inbox) >= 2000)
        await some_looks(recorder)
    assert sorted(subjects(recorder)) == list(range(2000))


def test_a_change_within_the_tick_of_a_coarse_clock_is_seen(root: Path) -> None:
    times = iter([0.0, 1.0, 2.0, 10.0])
    folder = Folder(root, clock=lambda: next(times))
    tick = (1_700_000_000, 1_700_000_000)

    def look() -> int:
        # A file system whose clock stands still for the length of this test.
        os.utime(root / "new", tick)
        listing = folder.look(())
        assert listing is not None
        return len(listing.entries)

    assert look() == 0
    deliver(root, report(1))
    assert look() == 1
    deliver(root, report(2))
    assert look() == 2
    assert look() == 0  # long unchanged: not listed again


def test_names_are_forgotten_when_two_full_looks_miss_them(root: Path) -> None:
    now = 0.0
    folder = Folder(root, clock=lambda: now)
    path = deliver(root, report(1))
    handled = {path.name}

    def gone(after: float) -> tuple[str, ...]:
        nonlocal now
        now += after
        listing = folder.look(handled)
        assert listing is not None
        return listing.gone

    assert gone(0) == ()
    path.unlink()
    assert gone(1) == ()
    assert gone(maildir_folder.FULL_LOOK_SECONDS) == ()
    assert gone(1) == ()
    assert gone(maildir_folder.FULL_LOOK_SECONDS) == (path.name,)


def test_a_name_that_no_look_at_a_rename_found_once_is_not_forgotten(root: Path) -> None:
    now = 0.0
    folder = Folder(root, clock=lambda: now)
    path = deliver(root, report(1))
    assert folder.look({path.name}) is not None
    hidden = path.rename(root / "tmp" / path.name)
    now += maildir_folder.FULL_LOOK_SECONDS
    assert folder.look({path.name}) == maildir_folder.Listing(())
    hidden.rename(path)
    for _ in range(3):
        now += maildir_folder.FULL_LOOK_SECONDS
        assert folder.look({path.name}) == maildir_folder.Listing(())


@pytest.mark.asyncio
async def test_names_that_are_no_utf8_are_names_too(root: Path) -> None:
    recorder = Recorder()
    async with watched(root, recorder):
        deliver_by_bytes(root, b"1.\xe9.host", report(1))
        await recorder.until(lambda: subjects(recorder) == [1])
    assert recorder.inbox[0].place.name.encode("utf-8") == b"1.\\xe9.host"


@pytest.mark.asyncio
async def test_hidden_files_and_directories_are_no_messages(root: Path) -> None:
    recorder = Recorder()
    async with watched(root, recorder):
        (root / "new" / ".nfs0001").write_bytes(report(1))
        (root / "cur" / "directory").mkdir()
        deliver(root, report(2))
        await recorder.until(lambda: subjects(recorder) == [2])
        await some_looks(recorder)
    assert subjects(recorder) == [2]


@pytest.mark.asyncio
async def test_the_trial_names_what_is_missing(root: Path) -> None:
    good = await maildir.check(source(root, Recorder())._settings, NO_STATE)
    assert good.ok
    assert good.lines == (f"Sent: {root / '.Sent'}", f"INBOX: {root}")
    bad = await maildir.check(source(root, Recorder(), sent=["Gesendet"])._settings, NO_STATE)
    assert not bad.ok
    assert "Gesendet" in bad.lines[0]
    assert "is no Maildir folder" in bad.lines[0]


def test_settings_ask_for_addresses_and_describe_every_key(root: Path) -> None:
    with pytest.raises(ValidationError, match="addresses"):
        maildir.SETTINGS.model_validate({"name": "app", "path": root})
    assert [name for name, field in maildir.SETTINGS.model_fields.items() if not field.description] == []
