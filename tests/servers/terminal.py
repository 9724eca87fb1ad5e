"""A command at a terminal, and a person who reads what it says and types answers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from servers.daemon import PATIENCE_SECONDS, until


class Terminal:
    """What stands on the screen since it was last read, and the keyboard."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self._master = master
        self.process = process
        self.seen = ""  # all of it
        self._read = 0  # up to where it was read

    def expect(self, text: str) -> str:
        """Wait for a text, and give what came before it since the last one."""
        until(lambda: text in self._more()[self._read :], lambda: f"{text!r} in {self.seen!r}")
        end = self.seen.index(text, self._read) + len(text)
        before, self._read = self.seen[self._read : end], end
        return before

    def type(self, line: str) -> None:
        """Type a line and Enter."""
        os.write(self._master, line.encode() + b"\n")

    def end(self) -> int:
        """Wait for the command's end; its exit status."""
        until(lambda: self._more() is not None and self.process.poll() is not None, lambda: f"the end: {self.seen!r}")
        self._more()
        return self.process.returncode

    def _more(self) -> str:
        # At the end of the command, the terminal's end is an error (EIO).
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(self._master, 65536):
                self.seen += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return self.seen


@contextlib.contextmanager
def at_terminal(
    command: Sequence[str | Path], environ: Mapping[str, str] | None = None, *, columns: int = 120
) -> Iterator[Terminal]:
    """A command with a terminal of so many columns for input and output; ended at the end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    os.set_blocking(master, False)
    basic = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", **(environ or {})}
    process = subprocess.Popen(
        list(command), stdin=slave, stdout=slave, stderr=slave, env=basic, start_new_session=True
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)
        os.close(master)
