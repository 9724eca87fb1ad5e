"""Lines of a growing file, through everything that logrotate does to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mdnwatch import tail
from mdnwatch.tail import follow, lines_of


class Script:
    """What happens to the file at each rest of the one who follows it; ends the following when all has happened."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self.steps = list(steps)

    def __call__(self) -> None:
        if not self.steps:
            raise StopFollowingError
        self.steps.pop(0)()


class StopFollowingError(Exception):
    pass


def followed(path: Path, *steps: Callable[[], object]) -> list[bytes]:
    """All lines seen while the steps happen, and a few rests later."""
    seen: list[bytes] = []
    lines = follow(path, Script(*steps, *[lambda: None] * 3))
    while True:
        try:
            seen.append(next(lines))
        except StopFollowingError:
            return seen


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def add(path: Path, text: bytes) -> Callable[[], object]:
    def step() -> None:
        with path.open("ab") as file:
            file.write(text)

    return step


def test_lines_are_whole_and_the_rest_is_left_for_later(path: Path) -> None:
    path.write_bytes(b"one\n\ntw")
    with path.open("rb") as file:
        assert list(lines_of(file)) == [b"one", b""]
        add(path, b"o\n")()
        assert list(lines_of(file)) == [b"two"]


def test_a_line_without_measure_is_given_empty(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "MAX_LINE_BYTES", 10)
    path.write_bytes(b"one\n" + b"x" * 95 + b"\ntwo\n" + b"y" * 35)
    with path.open("rb") as file:
        assert list(lines_of(file)) == [b"one", b"", b"two", b""]


def test_a_pipe_is_read_to_its_end() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"one\nha")
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert list(lines_of(file)) == [b"one"]


def test_what_is_there_comes_first_and_then_what_is_added(path: Path) -> None:
    path.write_bytes(b"1\n")
    assert followed(path, add(path, b"2\n3"), add(path, b"3\n")) == [b"1", b"2", b"33"]


def test_a_file_that_is_not_there_yet_is_waited_for(path: Path) -> None:
    assert followed(path, lambda: None, add(path, b"1\n")) == [b"1"]


def test_a_file_that_is_moved_is_read_to_its_end_and_then_the_new_one(path: Path) -> None:
    old = path.with_name("log.1")
    steps = (
        add(path, b"2\n"),
        lambda: path.rename(old),
        add(old, b"3\n"),  # by somebody who has it open
        add(path, b"5\n"),
        add(old, b"4\n"),
        add(path, b"6\n"),
    )
    path.write_bytes(b"1\n")
    assert followed(path, *steps) == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_a_file_that_is_cut_while_its_last_line_is_handed_over_begins_anew(path: Path) -> None:
    path.write_bytes(b"1\n2\n")
    lines = follow(path, Script(*[lambda: None] * 3))
    assert [next(lines), next(lines)] == [b"1", b"2"]
    path.write_bytes(b"3\n")
    assert next(lines) == b"3"


def test_a_file_that_is_cut_begins_anew(path: Path) -> None:
    path.write_bytes(b"1\n2\n")
    assert followed(path, lambda: os.truncate(path, 0), add(path, b"3\n")) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("new", [b"3\n4\n", b"3\n4\n5\n"])
def test_a_file_that_is_cut_and_grows_at_once_begins_anew(path: Path, new: bytes) -> None:
    path.write_bytes(b"1\n2\n")
    assert followed(path, lambda: path.write_bytes(new)) == [b"1", b"2", *new.split()]
