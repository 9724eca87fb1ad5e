"""The status log's file: whole lines at its end, on the disk, no id twice, wherever logrotate moves it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# Owner and group read it: it names people. logrotate's `create` may give another mode to the files it makes.
MODE = 0o640

# Bytes at the end of the file, and of the one rotated last, in which ids are looked for. What may come again are
# the attempts that were under way when a process died: at most 256 events (MAX_CONCURRENCY) of 16 KiB each.
TAIL_BYTES = 4 * 1024**2

# Ids kept in memory, of about 100 bytes each: more than a tail of ordinary lines holds.
MAX_KNOWN_IDS = 10_000

# Lines that are removed or cut off while they are added are added anew this often; more in a row is no rotation.
MAX_TRIES = 3

# How every line of ours begins: only what begins so is ever cut off.
LINE_START = b'{"type":'

# logrotate's names: `NAME.1`, or with dateext `NAME-20261123`; a compressed file is not looked into.
_ROTATED = re.compile(r"[.-]\d[\d-]*")


class LogFile:
    """The file at a path. Its methods block, and are called by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._end = -1  # where the file ended when it was last left; -1: it was not looked at yet
        self._known: dict[str, None] = {}  # the newest last

    def append(self, lines: Mapping[str, bytes]) -> None:
        """Add the lines, by id, that the log does not hold yet; when it returns they are on the disk.

        Raises OSError, and then none of them counts as added: they are looked for again before they are.
        """
        try:
            for _ in range(MAX_TRIES):
                fd = self._current()
                with locked(fd):
                    if os.fstat(fd).st_size != self._end:
                        self._look(fd)
                    self._add(fd, b"".join(line for name, line in lines.items() if name not in self._known))
                if self._is_kept(fd):
                    self._remember(lines)
                    return
        except OSError:
            self.close()
            raise
        raise BlockingIOError(errno.EAGAIN, "it is cut again and again", str(self._path))

    def close(self) -> None:
        """Let go of the file."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._end = None, -1

    def _current(self) -> int:
        """The file that bears the name now; made where there is none."""
        if self._fd is not None and not self._is_in_place(self._fd):
            self.close()
        if self._fd is None:
            self._fd = _open(self._path)
        return self._fd

    def _is_in_place(self, fd: int) -> bool:
        ours = os.fstat(fd)
        try:
            return os.path.samestat(ours, self._path.stat()) and ours.st_size >= self._end
        except FileNotFoundError:
            return False

    def _is_kept(self, fd: int) -> bool:
        """Whether what was added is still in a file, under whatever name: it was neither removed nor cut meanwhile."""
        ours = os.fstat(fd)
        return ours.st_nlink > 0 and ours.st_size >= self._end

    def _look(self, fd: int) -> None:
        """Mend the last line and learn which ids are there, after a start, a rotation or another's hand."""
        tail = _tail(fd)
        _mend(fd, tail.rpartition(b"\n")[2])
        # An earlier process may have died between writing and syncing; its lines count as delivered from here on.
        os.fsync(fd)
        self._remember(_ids(_rotated_tail(self._path)))
        self._remember(_ids(tail))
        self._end = os.fstat(fd).st_size

    def _add(self, fd: int, data: bytes) -> None:
        """All of it, or nothing: after a failed sync nobody knows what of it is on the disk."""
        before = self._end
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(fd, rest) :]
            if data:
                os.fsync(fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, before)
            raise
        self._end = before + len(data)

    def _remember(self, ids: Iterable[str]) -> None:
        for name in ids:
            self._known.pop(name, None)
            self._known[name] = None
        while len(self._known) > MAX_KNOWN_IDS:
            del self._known[next(iter(self._known))]


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY
    try:
        fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, MODE)
    except FileExistsError:
        fd = os.open(path, flags)
    else:
        # Whatever the umask: the daemon's keeps the group out.
        os.fchmod(fd, MODE)
        sync_directory(path.parent)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return fd


def sync_directory(path: Path) -> None:
    """Let the name of a new file outlive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def locked(fd: int) -> Iterator[None]:
    """Keep out another sink of the same path, as there is for a moment when a configuration is reloaded.

    Raises BlockingIOError where another has it.
    """
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _tail(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    return os.pread(fd, TAIL_BYTES, max(0, size - TAIL_BYTES))


def _rotated_tail(path: Path) -> bytes:
    """The end of the file that was rotated last; nothing where there is none, or it cannot be read."""
    try:
        with os.scandir(path.parent) as files:
            rotated = [
                file
                for file in files
                if file.name.startswith(path.name) and _ROTATED.fullmatch(file.name, len(path.name)) and file.is_file()
            ]
        if not rotated:
            return b""
        fd = os.open(max(rotated, key=lambda file: file.stat().st_mtime_ns), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return _tail(fd)
    finally:
        os.close(fd)


def _ids(tail: bytes) -> Iterator[str]:
    """The ids of the events in a tail, whose first line may be cut."""
    for line in tail.split(b"\n"):
        if (name := _id_of(line)) is not None:
            yield name


def _id_of(line: bytes) -> str | None:
    try:
        name = json.loads(line)["data"]["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def _mend(fd: int, fragment: bytes) -> None:
    """End a last line that lacks its end: a whole event by a line end, a torn one by cutting it off.

    What does not begin like an event is not ours to remove.
    """
    if not fragment:
        return
    torn = fragment.startswith(LINE_START) or LINE_START.startswith(fragment)
    if torn and _id_of(fragment) is None:
        os.ftruncate(fd, os.fstat(fd).st_size - len(fragment))
    else:
        os.write(fd, b"\n")
