"""Lines are taken out of a status log while its sink goes on: none is lost, none stays."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from mdnwatch.sinks.log_file import LogFile
from mdnwatch.sinks.log_rewrite import rewrite, rotated


def line(number: int) -> bytes:
    return json.dumps({"type": "recipient.failed", "data": {"id": f"evt_{number}"}}).encode() + b"\n"


def ids(path: Path) -> list[int]:
    return [int(json.loads(one)["data"]["id"].removeprefix("evt_")) for one in path.read_bytes().splitlines()]


def is_odd(text: str) -> bool:
    return int(json.loads(text)["data"]["id"].removeprefix("evt_")) % 2 == 1


def test_lines_go_and_mode_and_owner_stay(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(map(line, range(10))))
    path.chmod(0o604)
    before = path.stat()
    assert rewrite(path, is_odd) == 5
    assert ids(path) == [0, 2, 4, 6, 8]
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert (path.stat().st_uid, path.stat().st_gid) == (before.st_uid, before.st_gid)
    assert [file.name for file in tmp_path.iterdir()] == ["events.jsonl"]
    ours = path.stat().st_ino
    assert rewrite(path, is_odd) == 0
    assert path.stat().st_ino == ours
    assert rewrite(tmp_path / "none", is_odd) == 0


def test_a_sink_that_writes_meanwhile_loses_nothing_and_keeps_nothing_in_a_file_that_is_gone(tmp_path: Path) -> None:
    path, sink, count = tmp_path / "events.jsonl", LogFile(tmp_path / "events.jsonl"), 400

    def write() -> None:
        for number in range(count):
            while True:
                try:
                    sink.append({f"evt_{number}": line(number)})
                    break
                except OSError:
                    # As the outbox does: what was refused comes again.
                    continue

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        try:
            rewrite(path, is_odd)
        except BlockingIOError:
            continue
    writer.join()
    rewrite(path, is_odd)
    sink.close()
    assert ids(path) == list(range(0, count, 2))


def test_while_the_sink_writes_and_where_a_line_cannot_be_judged_the_log_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line(1) + b'{"torn')
    with pytest.raises(ValueError, match="Unterminated"):
        rewrite(path, is_odd)
    held = os.open(path, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(BlockingIOError):
        rewrite(path, is_odd)
    os.close(held)
    assert path.read_bytes() == line(1) + b'{"torn'
    assert [file.name for file in tmp_path.iterdir()] == ["events.jsonl"]


def test_the_rotated_files_of_a_log_are_named(tmp_path: Path) -> None:
    for name in ("e.jsonl", "e.jsonl.1", "e.jsonl.2.gz", "e.jsonl-20261123", "e.jsonl-20261122.gz", "e.jsonl-old", "x"):
        (tmp_path / name).touch()
    found = [file.name for file in rotated(tmp_path / "e.jsonl")]
    assert found == ["e.jsonl-20261122.gz", "e.jsonl-20261123", "e.jsonl.1", "e.jsonl.2.gz"]
