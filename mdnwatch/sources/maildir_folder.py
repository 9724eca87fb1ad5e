"""One folder of a Maildir: what lies in its `new` and `cur`, read without changing anything.

A message is known by the unique part of its file name: what stands before the ":" stays the same when its flags
change or when it moves from `new` to `cur`. All of this blocks, and runs in a thread.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mdnwatch.errors import SourceError
from mdnwatch.model.received import Wanted
from mdnwatch.sources import utf7
from mdnwatch.sources.base import BATCH_BYTES, BATCH_MESSAGES, HEADER_BYTES, header_of

# File systems date changes by a clock that ticks every 2 seconds on some: a directory that changed is listed
# until its date is older than that.
SETTLE_SECONDS = 3.0

# Whatever the dates say, everything is listed this often.
FULL_LOOK_SECONDS = 300.0

# So many files are looked into for one batch, wanted or not.
FILES_PER_BATCH = 1000

_SUBFOLDERS = ("new", "cur")  # in this order: a message moves from the first to the second


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in a folder. Times are seconds since 1970: `received` is the file's own, `arrived` its inode's."""

    name: str  # the unique part
    path: str
    received: float
    arrived: float
    size: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Messages that are not handled, as far as something changed; and handled names that left the folder."""

    entries: tuple[Entry, ...]
    gone: tuple[str, ...] = ()


@dataclass(slots=True)
class Contents:
    """What was read of some messages: those wanted with their data, and all that are done, wanted or not."""

    wanted: list[tuple[Entry, bytes]] = field(default_factory=list)
    done: list[Entry] = field(default_factory=list)
    vanished: list[Entry] = field(default_factory=list)
    unreadable: list[tuple[Entry, str]] = field(default_factory=list)


def folder_path(root: Path, name: str) -> Path:
    """Where a folder lies: the Maildir itself for INBOX, else Maildir++, "Archive/Sent" being ".Archive.Sent".

    Dovecot and Courier write names in modified UTF-7.
    """
    return root if name.upper() == "INBOX" else root / utf7.encode("." + name.replace("/", "."))


def exists(path: Path) -> bool:
    """Whether it is a Maildir folder. Raises SourceError when that cannot be told."""
    try:
        return all((path / one).is_dir() for one in _SUBFOLDERS)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None


class Folder:
    """The files of one folder, listed again only where something may have changed."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._dates: dict[str, int] = {}
        self._changed: dict[str, float] = {}
        self._last_full = float("-inf")
        self._absent: set[str] = set()

    def look(self, handled: Collection[str]) -> Listing | None:
        """What is there beyond the handled names; None when the folder is gone. Raises SourceError."""
        now = self._clock()
        full = now - self._last_full >= FULL_LOOK_SECONDS
        entries: dict[str, Entry] = {}
        present: set[str] = set()
        try:
            for one in _SUBFOLDERS:
                if self._may_have_changed(one, now) or full:
                    for file in _files(self._path / one):
                        present.add(name := _unique(file.name))
                        if name not in handled and (entry := _entry(name, file)):
                            entries[name] = entry
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SourceError(f"cannot read {self._path}: {error.strerror}") from None
        if not full:
            return Listing(tuple(entries.values()))
        self._last_full = now
        return Listing(tuple(entries.values()), self._gone(set(handled) - present))

    def look_again(self) -> None:
        """List everything at the next look: a file that was listed is not where it was."""
        self._dates.clear()

    def _gone(self, absent: set[str]) -> tuple[str, ...]:
        # One look can miss a file that is renamed meanwhile; two that are minutes apart do not miss the same.
        gone, self._absent = absent & self._absent, absent - self._absent
        return tuple(sorted(gone))

    def _may_have_changed(self, one: str, now: float) -> bool:
        date = (self._path / one).stat().st_mtime_ns
        if self._dates.get(one) != date:
            self._dates[one] = date
            self._changed[one] = now
        return now - self._changed[one] <= SETTLE_SECONDS


def _files(path: Path) -> list[os.DirEntry[str]]:
    with os.scandir(path) as files:
        return [file for file in files if not file.name.startswith(".")]


def _unique(file_name: str) -> str:
    # Names are bytes on disk and text in the database: what is no UTF-8 is written out.
    return os.fsencode(file_name.partition(":")[0]).decode("utf-8", "backslashreplace")


def _entry(name: str, file: os.DirEntry[str]) -> Entry | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return Entry(name, file.path, status.st_mtime, status.st_ctime, status.st_size) if file.is_file() else None


def read(entries: Iterable[Entry], limit: int, wanted: Callable[[bytes, bytes], Wanted]) -> Contents:
    """As many of the messages as make a batch, each as much of it as is wanted, cut at `limit` bytes."""
    contents, size = Contents(), 0
    for count, entry in enumerate(entries):
        if count >= FILES_PER_BATCH or len(contents.wanted) >= BATCH_MESSAGES or size >= BATCH_BYTES:
            break
        try:
            data = _read(entry, limit, wanted)
        except FileNotFoundError:
            contents.vanished.append(entry)
            continue
        except OSError as error:
            contents.unreadable.append((entry, error.strerror or str(error)))
            continue
        contents.done.append(entry)
        if data is not None:
            contents.wanted.append((entry, data))
            size += len(data)
    return contents


def _read(entry: Entry, limit: int, wanted: Callable[[bytes, bytes], Wanted]) -> bytes | None:
    with Path(entry.path).open("rb") as file:
        beginning = file.read(HEADER_BYTES)
        header = header_of(beginning)
        much = wanted(header, beginning[len(header) :])
        if much is Wanted.NOTHING:
            return None
        if much is Wanted.HEADER:
            return header
        return (beginning + file.read(max(0, limit - len(beginning))))[:limit]
