"""What a test does to the machine under a daemon: a small disk, a full disk, a clock that jumps."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
needs_faketime = pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")


@contextlib.contextmanager
def small_disk(directory: Path, size: str = "4m") -> Iterator[None]:
    """A disk of its own at a directory."""
    directory.mkdir(mode=0o700, parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def fill(path: Path) -> None:
    """Leave no byte free on a disk."""
    with path.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(b"x" * 4096):
            pass


class Clock:
    """The clock of the programs that are started behind `before`; it goes right until it jumps."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump("+0d")

    @property
    def before(self) -> list[str]:
        """What starts a program under this clock."""
        return [
            "env",
            f"LD_PRELOAD={FAKETIME}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_NO_CACHE=1",
            # The kernel's other clocks never jump.
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
        ]

    def jump(self, by: str) -> None:
        """Be wrong by so much, as "-3d"."""
        self._file.write_text(f"{by}\n")
