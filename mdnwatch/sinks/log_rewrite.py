"""Takes lines out of a status log: a file without them takes its place, while its sink keeps out."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from mdnwatch.sinks.log_file import locked, sync_directory


def rewrite(path: Path, is_gone: Callable[[str], bool]) -> int:
    """Write a status log anew without the lines of which `is_gone` says so; how many there were.

    Nothing is written where there are none, or no file. Blocks. Raises OSError, and then the log is as it was:
    BlockingIOError where its sink is writing at this moment.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    with os.fdopen(fd, "rb") as log, locked(fd):
        # A sink that waits for its turn finds another file under the name afterwards, and goes on with that.
        gone = sum(is_gone(_text(line)) for line in log)
        if gone:
            log.seek(0)
            with _draft(path, log) as draft:
                for line in log:
                    if not is_gone(_text(line)):
                        draft.write(line)
    return gone


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


@contextlib.contextmanager
def _draft(path: Path, log: BinaryIO) -> Iterator[BinaryIO]:
    """A new file with the owner and mode of the log, which takes its place when the block is left."""
    draft = path.with_name(f".{path.name}.draft")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    of_log = os.fstat(log.fileno())
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchown(fd, of_log.st_uid, of_log.st_gid)
            os.fchmod(fd, stat.S_IMODE(of_log.st_mode))
            yield file
            file.flush()
            os.fsync(fd)
        draft.replace(path)
        sync_directory(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def rotated(path: Path) -> list[Path]:
    """Earlier files of the same log, compressed or not: what logrotate calls them begins with its name."""
    try:
        return sorted(one for one in path.parent.iterdir() if one.name.startswith(f"{path.name}.") or _dated(one, path))
    except OSError:
        return []


def _dated(one: Path, path: Path) -> bool:
    return one.name.startswith(f"{path.name}-") and one.name[len(path.name) + 1 :][:1].isdigit()
