"""The lines of a file that grows at its end, and that logrotate may move or cut at any time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

# Bytes. A line of the status log is at most 16 KiB; a longer one is not read into memory, and left out.
MAX_LINE_BYTES = 1024**2

# By so many bytes before it a place in a file is known again: they hold the id of an event of ordinary length.
MARK_BYTES = 4096

# Seconds between two looks at a file that is followed: quick for a person, nothing for the machine.
LOOK_SECONDS = 0.25


def pause() -> None:
    """Until the next look."""
    time.sleep(LOOK_SECONDS)


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The whole lines from here on, without their ends; what has no end yet is left for the next time.

    A line that is too long is given empty.
    """
    while line := file.readline(MAX_LINE_BYTES):
        if line.endswith(b"\n"):
            yield line[:-1]
        elif len(line) < MAX_LINE_BYTES:
            # What comes through a pipe does not grow any more.
            if file.seekable():
                file.seek(-len(line), os.SEEK_CUR)
            return
        else:
            _skip_line(file)
            yield b""


def _skip_line(file: BinaryIO) -> None:
    while (part := file.readline(MAX_LINE_BYTES)) and not part.endswith(b"\n"):
        pass


def follow(path: Path, rest: Callable[[], None] = pause) -> Iterator[bytes]:
    """The lines that are there and those to come, without end; `rest` is called when there is nothing to read.

    Raises OSError, but waits for a file that is not there (yet).
    """
    while True:
        while (file := _opened(path)) is None:
            rest()
        with file:
            mark = b""  # what stands before the place up to which it was read
            while _is_in_place(file, path):
                for line in lines_of(file):
                    mark = line[-MARK_BYTES:] + b"\n" if line else b""
                    yield line
                rest()
                if not _stands(mark, file):
                    file.seek(0)
                    mark = b""
            # Let whoever was writing when it was moved come to an end.
            rest()
            yield from lines_of(file)


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


def _stands(mark: bytes, file: BinaryIO) -> bool:
    """Whether what was read last is still there; a file that was cut may by now be as long as before, and longer."""
    start = file.tell() - len(mark)
    return os.pread(file.fileno(), len(mark), start) == mark


def _is_in_place(file: BinaryIO, path: Path) -> bool:
    """Whether no other file has taken the name; a file that was moved away goes on until the next one is there."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return True
