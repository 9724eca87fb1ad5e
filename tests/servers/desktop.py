"""A desktop of a test's own: X server without a screen, session bus, and dunst, which shows notifications."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.daemon import until

PROGRAMS = ("Xvfb", "dbus-daemon", "dunst", "dunstctl")
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]


@dataclass(frozen=True, slots=True)
class Notification:
    """As dunst has it in its history; `body` with markup as it was given."""

    id: int
    title: str
    body: str
    timeout: int  # seconds; 0: never


@dataclass(frozen=True)
class Screen:
    """The environment of its programs."""

    environ: dict[str, str]
    dunst: int  # its process

    def dunstctl(self, *words: str) -> str:
        """What dunst answers."""
        done = subprocess.run(["dunstctl", *words], capture_output=True, text=True, check=True, env=self.environ)
        return done.stdout.strip()

    @property
    def displayed(self) -> int:
        """How many notifications are on the screen."""
        return int(self.dunstctl("count", "displayed"))

    def history(self) -> list[Notification]:
        """What is on the screen no more, the latest first."""
        (found,) = json.loads(self.dunstctl("history"))["data"]
        return [_notification({key: value["data"] for key, value in one.items()}) for one in found]

    def put_away(self) -> list[Notification]:
        """Close what is on the screen, as a program does that wants the screen; what that was."""
        before = {one.id for one in self.history()}
        self.dunstctl("close-all")
        return [one for one in self.history() if one.id not in before]

    def screenshot(self, path: Path) -> None:
        """The screen, as PNG."""
        dump = subprocess.run(["xwd", "-root", "-silent"], capture_output=True, check=True, env=self.environ)
        subprocess.run(["convert", "xwd:-", path], input=dump.stdout, check=True)


def _notification(one: Mapping[str, Any]) -> Notification:
    return Notification(one["id"], one["summary"], one["body"], one["timeout"] // 1_000_000)


@contextlib.contextmanager
def _process(command: list[str], environ: dict[str, str], passed: tuple[int, ...] = ()) -> Iterator[int]:
    with subprocess.Popen(
        command, env=environ, pass_fds=passed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


def _first_line(command: list[str], environ: dict[str, str], stack: contextlib.ExitStack) -> str:
    """Start a program that tells where it is on the descriptor that stands for "{}" in its last argument."""
    reading, writing = os.pipe()
    stack.enter_context(_process([*command[:-1], command[-1].format(writing)], environ, (writing,)))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return pipe.readline().strip()


@contextlib.contextmanager
def desktop(home: Path) -> Iterator[Screen]:
    """A desktop whose programs keep their files in `home`."""
    environ = {
        **os.environ,
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
    }
    with contextlib.ExitStack() as stack:
        number = _first_line(
            ["Xvfb", "-screen", "0", "800x400x24", "-nolisten", "tcp", "-displayfd", "{}"], environ, stack
        )
        environ["DISPLAY"] = f":{number}"
        address = _first_line(["dbus-daemon", "--session", "--nofork", "--print-address={}"], environ, stack)
        environ["DBUS_SESSION_BUS_ADDRESS"] = address
        made = Screen(environ, stack.enter_context(_process(["dunst"], environ)))
        until(lambda: _answers(made), "dunst")
        yield made


def _answers(made: Screen) -> bool:
    try:
        made.dunstctl("count")
    except subprocess.CalledProcessError:
        return False
    return True
