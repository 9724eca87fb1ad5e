"""The status log on real files: whole lines, each id once, through rotation, crashes, full disks and crowds."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from outbox_world import world
from pydantic import ValidationError

from mdnwatch.model.notification import NotificationState, Outcome, Outgoing, Verdict
from mdnwatch.problems import described
from mdnwatch.sinks import log
from mdnwatch.sinks.log import StatusLog, StatusLogSettings

DELIVERED = Outcome(Verdict.DELIVERED, "")


def event(number: int, padding: int = 0) -> Outgoing:
    body = {"type": "recipient.failed", "timestamp": "2026-11-23T14:58:06.120Z", "data": {"id": f"evt_{number}"}}
    body["data"]["text"] = "Jürgen \u2028 " + "x" * padding  # type: ignore[index] # a table in a table
    return Outgoing(f"evt_{number}", "recipient.failed", json.dumps(body, separators=(",", ":")).encode(), 1)


def settings(path: Path, **table: object) -> StatusLogSettings:
    return StatusLogSettings.model_validate({"name": "events", "path": str(path), **table})


@contextlib.asynccontextmanager
async def sink(path: Path, **table: object) -> AsyncIterator[StatusLog]:
    made = log.build(settings(path, **table), now=lambda: datetime.now(UTC))
    try:
        yield made
    finally:
        await made.close()


async def send(path: Path, events: Iterable[Outgoing]) -> list[Outcome]:
    """As a process does that starts, sends, and ends."""
    async with sink(path) as made:
        return list(await asyncio.gather(*(made.send(one) for one in events)))


async def insist(made: StatusLog, numbers: range) -> None:
    """Send events until each is taken, as the outbox does."""
    pending = [event(number) for number in numbers]
    while pending:
        told = await asyncio.gather(*map(made.send, pending))
        pending = [one for one, outcome in zip(pending, told, strict=True) if outcome != DELIVERED]


def ids(*paths: Path) -> list[str]:
    """The ids in the files, each line of which has to be whole."""
    return [json.loads(line)["data"]["id"] for path in paths for line in whole_lines(path)]


def whole_lines(path: Path) -> list[bytes]:
    *lines, end = path.read_bytes().split(b"\n")
    assert end == b""
    return lines


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def rotate(path: Path, name: str = "events.jsonl.1", *, create: int | None = None) -> Path:
    """As logrotate does it; with the mode `create` also the new file."""
    moved = path.rename(path.with_name(name))
    if create is not None:
        path.touch(create)
    return moved


def files_of(path: Path) -> list[Path]:
    """The log and its rotated files."""
    return sorted(path.parent.glob(f"{path.name}*"))


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.mark.asyncio
async def test_each_event_is_the_body_of_a_webhook_on_a_line(path: Path) -> None:
    events = [event(number) for number in range(3)]
    assert await send(path, events) == [DELIVERED] * 3
    assert whole_lines(path) == [one.body for one in events]


@pytest.mark.asyncio
async def test_owner_and_group_read_it_whatever_the_umask(path: Path) -> None:
    before = os.umask(0o077)
    try:
        await send(path, [event(1)])
    finally:
        os.umask(before)
    assert mode_of(path) == 0o640


@pytest.mark.asyncio
async def test_an_event_that_is_sent_again_stands_there_once(path: Path) -> None:
    async with sink(path) as made:
        assert [await made.send(event(1)) for _ in range(3)] == [DELIVERED] * 3
        assert await asyncio.gather(*(made.send(event(2)) for _ in range(2))) == [DELIVERED] * 2
    assert await send(path, [event(2), event(3), event(1)]) == [DELIVERED] * 3
    assert ids(path) == ["evt_1", "evt_2", "evt_3"]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["events.jsonl.1", "events.jsonl-20261123", "events.jsonl-20261123-1795444387"])
async def test_a_file_that_is_moved_is_left_and_its_ids_are_remembered(path: Path, name: str) -> None:
    async with sink(path) as made:
        await made.send(event(1))
        rotate(path, name)
        await made.send(event(1))
        await made.send(event(2))
    assert await send(path, [event(1), event(2), event(3)]) == [DELIVERED] * 3
    assert ids(path.with_name(name)) == ["evt_1"]
    assert ids(path) == ["evt_2", "evt_3"]


@pytest.mark.asyncio
async def test_a_file_that_logrotate_makes_keeps_its_mode(path: Path) -> None:
    async with sink(path) as made:
        await made.send(event(1))
        rotate(path, create=0o600)
        await made.send(event(2))
    assert mode_of(path) == 0o600
    assert ids(path) == ["evt_2"]


@pytest.mark.asyncio
async def test_a_file_that_is_copied_and_truncated_begins_anew(path: Path) -> None:
    async with sink(path) as made:
        await made.send(event(1))
        await made.send(event(2))
        shutil.copy(path, path.with_name("events.jsonl.1"))
        os.truncate(path, 0)
        await made.send(event(3))
    assert await send(path, [event(2), event(3)]) == [DELIVERED] * 2
    assert ids(path) == ["evt_3"]


@pytest.mark.asyncio
async def test_the_file_that_was_rotated_last_is_the_one_that_is_looked_into(path: Path) -> None:
    for number, name in ((1, "events.jsonl-20261122"), (2, "events.jsonl-20261123")):
        await send(path, [event(number)])
        os.utime(rotate(path, name), (number, number))
    write(path.with_name("events.jsonl.9.gz"), b"\x1f\x8b")
    await send(path, [event(2), event(3)])
    assert ids(path) == ["evt_3"]


@pytest.mark.asyncio
async def test_while_it_is_rotated_again_and_again_nothing_is_lost_and_nothing_comes_twice(path: Path) -> None:
    rotated: list[Path] = []
    stop = threading.Event()

    def rotating() -> None:
        while not stop.wait(0.002):
            with contextlib.suppress(FileNotFoundError):
                rotated.append(rotate(path, f"events.jsonl-{len(rotated):08}"))

    thread = threading.Thread(target=rotating)
    thread.start()
    try:
        async with sink(path) as made:
            for start in range(0, 400, 20):
                await insist(made, range(start, start + 20))
    finally:
        stop.set()
        thread.join()
    assert len(rotated) > 3
    assert sorted(ids(*files_of(path))) == sorted(f"evt_{number}" for number in range(400))


@pytest.mark.asyncio
async def test_wherever_the_last_line_was_torn_each_event_stands_there_once(path: Path) -> None:
    first, last = event(1).body + b"\n", event(2).body + b"\n"
    for cut in range(len(last) + 1):
        write(path, first + last[:cut])
        assert await send(path, [event(2), event(1), event(3)]) == [DELIVERED] * 3
        assert ids(path) == ["evt_1", "evt_2", "evt_3"], cut


@pytest.mark.asyncio
async def test_what_is_no_event_is_not_cut_off(path: Path) -> None:
    write(path, b"2026-11-23 somebody else's line")
    await send(path, [event(1)])
    assert whole_lines(path) == [b"2026-11-23 somebody else's line", event(1).body]


@pytest.mark.asyncio
async def test_of_a_large_file_only_the_end_is_read(path: Path) -> None:
    filler = event(0, padding=16_000).body + b"\n"
    write(path, event(1).body + b"\n" + filler * 1000 + event(2).body + b"\n")
    await send(path, [event(1), event(2)])
    assert ids(path)[-2:] == ["evt_2", "evt_1"]


# Writes events one after the other and says which are done, until it is killed.
ENDLESS = """
    import asyncio, itertools, sys
    sys.path[:0] = sys.argv[2:]
    from test_log import Path, event, sink

    async def main():
        async with sink(Path(sys.argv[1])) as made:
            for start in itertools.count(step=8):
                await asyncio.gather(*(made.send(event(start + n, padding=9000)) for n in range(8)))
                print(start + 8, flush=True)

    asyncio.run(main())
"""


def test_a_process_that_is_killed_while_it_writes_leaves_nothing_twice_and_nothing_out(path: Path) -> None:
    here = Path(__file__).parent
    code = textwrap.dedent(ENDLESS)
    for round_ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", code, path, here, here.parent], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(round_ + 1):
                told = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            told = max([told, *map(int, process.stdout.read().split())])
        found = path.read_bytes().count(b'"id"')
        assert found >= told
        # What was under way comes again.
        again = [event(number, padding=9000) for number in range(told + 8)]
        assert asyncio.run(send(path, again)) == [DELIVERED] * len(again)
        assert ids(path) == [f"evt_{number}" for number in range(told + 8)]
        path.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    directory = tmp_path / "disk"
    directory.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory], check=False)
    if done.returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


@pytest.mark.asyncio
async def test_on_a_full_disk_no_line_is_torn_and_all_comes_when_there_is_room(small_disk: Path) -> None:
    path = small_disk / "events.jsonl"
    filler = small_disk / "filler"
    filler.write_bytes(b"\0" * 40_000)
    events = [event(number, padding=3000) for number in range(10)]
    async with sink(path) as made:
        told = [await made.send(one) for one in events]
        full = Outcome(Verdict.UNAVAILABLE, f"{path}: the disk is full: make room")
        assert set(told) == {DELIVERED, full}
        assert ids(path) == [f"evt_{number}" for number in range(told.count(DELIVERED))]
        filler.unlink()
        assert [await made.send(one) for one in events] == [DELIVERED] * 10
    assert ids(path) == [f"evt_{number}" for number in range(10)]


@pytest.mark.asyncio
async def test_a_batch_that_does_not_fit_leaves_nothing_behind(path: Path) -> None:
    await send(path, [event(0)])
    before, (soft, hard) = whole_lines(path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        told = await send(path, [event(number, padding=1000) for number in range(1, 9)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {outcome.verdict for outcome in told} == {Verdict.UNAVAILABLE}
    assert told[0].cause == f"{path}: the file may not become larger (ulimit -f): rotate it"
    assert whole_lines(path) == before


@pytest.mark.asyncio
async def test_a_missing_directory_is_told_and_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later" / "events.jsonl"
    async with sink(path) as made:
        outcome = await made.send(event(1))
        words = "its directory does not exist: create it, writable for mdnwatch"
        assert outcome == Outcome(Verdict.UNAVAILABLE, f"{path}: {words}")
        path.parent.mkdir()
        assert await made.send(event(1)) == DELIVERED
    assert ids(path) == ["evt_1"]


@pytest.mark.asyncio
async def test_what_cannot_be_a_log_is_told_with_the_way_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    told = {
        tmp_path: "it is a directory: name a file in it",
        tmp_path / "fifo": "it is no regular file",
        tmp_path / "file" / "x": "what should be its directory is a file: name another path",
    }
    for path, words in told.items():
        assert await send(path, [event(1)]) == [Outcome(Verdict.UNAVAILABLE, f"{path}: {words}")]


def test_a_directory_of_another_user_is_told_with_the_way_out(path: Path) -> None:
    code = (
        "import asyncio, sys; sys.path[:0] = sys.argv[2:]; from test_log import Path, event, send\n"
        "import os\n"
        "if os.geteuid() == 0: os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "print(asyncio.run(send(Path(sys.argv[1]), [event(1)]))[0].cause)"
    )
    path.parent.chmod(0o555)
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code, path, here, here.parent], capture_output=True, text=True, check=True
    )
    words = "mdnwatch may not write there: give the directory to its user, or name another path"
    assert done.stdout == f"{path}: {words}\n"


@pytest.mark.asyncio
async def test_a_crowd_shares_the_syncs_of_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[int] = []
    fsync = os.fsync

    def counted(fd: int) -> None:
        syncs.append(fd)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", counted)
    async with sink(path) as made:
        await made.send(event(0))
        syncs.clear()
        assert await asyncio.gather(*(made.send(event(number)) for number in range(1, 500))) == [DELIVERED] * 499
    assert 1 <= len(syncs) < 50
    assert ids(path) == [f"evt_{number}" for number in range(500)]


@pytest.mark.asyncio
async def test_two_sinks_with_one_path_do_not_tear_each_others_lines(path: Path) -> None:
    async def one_by_one(made: StatusLog, numbers: range) -> None:
        for number in numbers:
            await insist(made, range(number, number + 1))

    async with sink(path) as one, sink(path) as other:
        await asyncio.gather(one_by_one(one, range(200)), one_by_one(other, range(100, 300)))
    assert sorted(ids(path)) == sorted(f"evt_{number}" for number in range(300))


@pytest.mark.asyncio
async def test_a_file_that_somebody_else_holds_makes_nobody_wait(path: Path) -> None:
    async with sink(path) as made:
        await made.send(event(1))
        with path.open("rb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            outcome = await made.send(event(2))
        words = "another process is writing to it, or moving it, at this moment"
        assert outcome == Outcome(Verdict.UNAVAILABLE, f"{path}: {words}")
        assert await made.send(event(2)) == DELIVERED


@pytest.mark.asyncio
async def test_the_outbox_backs_off_and_catches_up_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log" / "events.jsonl"
    async with world(tmp_path / "state") as made:
        events = log.build(settings(path), now=made.clock)
        async with made.run(events):
            await made.queue([(f"evt_{number}", "one recipient") for number in range(5)], sinks=("events",))
            line = await made.wait_for_line("event not delivered")
            assert "its directory does not exist" in line["cause"]
            path.parent.mkdir()
            made.pass_time(seconds=2)
            for _ in range(5):
                await made.wait_for_log(lambda log: len(log.of("event delivered")) >= 5)
        assert set((await made.states()).values()) == {NotificationState.DELIVERED}
    assert [json.loads(line)["id"] for line in whole_lines(path)] == [f"evt_{number}" for number in range(5)]


def problems(**table: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        StatusLogSettings.model_validate({"name": "events", **table})
    return described(caught.value, StatusLogSettings, ("sinks", 0))


def test_a_path_has_to_be_named_and_to_mean_the_same_everywhere() -> None:
    assert problems()[0].startswith('sinks[0].path: is missing: add path = "/var/log/mdnwatch/events.jsonl"')
    way_out = "depends on where mdnwatch is started: write the path from / on"
    assert problems(path="events.jsonl") == [f'sinks[0].path: "events.jsonl" {way_out}']


def test_another_path_is_another_endpoint(tmp_path: Path) -> None:
    one, same, other = (StatusLog(settings(tmp_path / name)) for name in ("a", "a", "b"))
    assert one.identity == same.identity != other.identity
