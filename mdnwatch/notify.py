"""`mdnwatch notify`: follows the daemon's events over its socket and shows them on the desktop."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mdnwatch import local_api, status_lines
from mdnwatch.config import SOCKET_NAME, SYSTEM_RUNTIME, load
from mdnwatch.desktop import DISMISSED, Desktop
from mdnwatch.errors import MdnwatchError
from mdnwatch.init_files import base_directory, default_config
from mdnwatch.notices import Notice, Notices, Quiet

# The daemon is started with the machine, the desktop with the person: whichever comes first waits for the other.
PAUSE_SECONDS = 5.0

# Whoever was away for longer than this many events reads the status instead.
MAX_MISSED = 500

# The file that holds the cursor of the last event that was shown.
CURSOR_NAME = "notified"


@dataclass(frozen=True, slots=True)
class Options:
    """What is shown, and how. `opener` shows a text file to the person."""

    socket: Path
    events: tuple[str, ...] = ("*",)
    per_minute: int = 6
    quiet: Quiet | None = None
    opener: str = "xdg-open"


async def run(options: Options, tell: Callable[[str], None], now: Callable[[], datetime]) -> None:
    """Show what is told until the session ends. Raises MdnwatchError where there is no desktop to show it on."""
    desktop = await Desktop.open()
    try:
        await _Notifier(options, desktop, tell, now).run()
    finally:
        desktop.close()


class _Notifier:
    """One desktop and one daemon."""

    def __init__(
        self, options: Options, desktop: Desktop, tell: Callable[[str], None], now: Callable[[], datetime]
    ) -> None:
        self._options, self._desktop, self._tell, self._now = options, desktop, tell, now
        self._notices = Notices(options.per_minute, options.quiet)
        self._wake = asyncio.Event()
        self._ids: dict[str, int] = {}
        self._shown: dict[int, Notice] = {}
        self._saved = self._cursor = _load_cursor()
        self._unsaved = False
        self._opening: set[asyncio.Task[None]] = set()
        desktop.on_closed = self._closed
        desktop.on_action = self._details

    async def run(self) -> None:
        tasks = [asyncio.create_task(work) for work in (self._follow(), self._show(), self._desktop.wait_until_lost())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()

    async def _follow(self) -> None:
        cursor, silent = self._saved, False
        while True:
            try:
                found = await self._ask({"command": "events", "since": cursor, "limit": MAX_MISSED, "wait": 30})
            except MdnwatchError as error:
                if not silent:
                    self._tell(f"{error}; it is asked again every {PAUSE_SECONDS:.0f} s")
                silent = True
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            silent = False
            for one in found["events"]:
                event = one["event"]
                if any(fnmatchcase(str(event["type"]), pattern) for pattern in self._options.events):
                    self._notices.add(event)
            cursor = self._cursor = found["cursor"]
            self._wake.set()

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        found = await asyncio.to_thread(local_api.ask, self._options.socket, question)
        if found is None:
            raise MdnwatchError(f"no daemon listens at {self._options.socket}")
        return found

    async def _show(self) -> None:
        while True:
            self._wake.clear()
            for notice in self._notices.due(self._now()):
                number = await self._desktop.show(
                    notice.title, notice.lines, stays=notice.stays, replaces=self._ids.get(notice.key, 0)
                )
                self._ids[notice.key], self._shown[number] = number, notice
            seconds = self._notices.seconds_until_due(self._now())
            if seconds is None and self._cursor is not None and self._cursor != self._saved:
                # Only now: what waits, for a minute or for the morning, is asked for again after a restart.
                self._save(self._cursor)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()

    def _save(self, cursor: int) -> None:
        """Note what was shown; where that fails, as on a full disk, it is tried again with the daemon's next answer."""
        path = state_directory() / CURSOR_NAME
        try:
            _write(path, f"{cursor}\n")
        except OSError as error:
            if not self._unsaved:
                self._tell(f"{path}: {error.strerror}; until it can be written, a restart shows again what was shown")
            self._unsaved = True
        else:
            self._saved, self._unsaved = cursor, False

    def _closed(self, number: int, reason: int) -> None:
        notice = self._shown.pop(number, None)
        if notice is None:
            return
        self._ids.pop(notice.key, None)
        if reason == DISMISSED:
            self._notices.forget(notice.key)

    def _details(self, number: int) -> None:
        notice = self._shown.get(number)
        if notice is not None:
            task = asyncio.create_task(self._open(notice))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, notice: Notice) -> None:
        """Show what the daemon knows of the message, as a text in the program of the person's choice."""
        try:
            found = await self._ask({"command": "status", "query": notice.message_id})
            text = io.StringIO()
            status_lines.show(found, self._now(), text)
            details = text.getvalue()
        except MdnwatchError as error:
            details = "\n".join([notice.title, *notice.lines, "", f"{error}\n"])
        path = state_directory() / "details.txt"
        try:
            await asyncio.to_thread(_write, path, details)
        except OSError as error:
            self._tell(f"{path}: {error.strerror}")
            return
        try:
            await asyncio.to_thread(_start, [self._options.opener, str(path)])
        except OSError as error:
            self._tell(f"{self._options.opener}: {error.strerror}: name another program with --opener")


def default_socket() -> Path:
    """The socket of a person's own daemon, if they have one, or else of the machine's. Raises ConfigError."""
    own = default_config()
    return load(own).socket if own.exists() else SYSTEM_RUNTIME / "mdnwatch" / SOCKET_NAME


def state_directory() -> Path:
    """Where the notifier keeps what it remembers, for this person alone."""
    return base_directory("XDG_STATE_HOME", ".local/state") / "mdnwatch"


def _load_cursor() -> int | None:
    try:
        return int((state_directory() / CURSOR_NAME).read_text("ascii"))
    except (OSError, ValueError):
        # The first time: from now on.
        return None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        # A cursor that a power cut has emptied would be none, and what came since would never be shown.
        os.fsync(fd)
    draft.replace(path)


def _start(command: Sequence[str]) -> None:
    """Start a program of the person's, which goes on by itself."""
    nothing = subprocess.DEVNULL
    subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)  # noqa: S603 - the person named this program
