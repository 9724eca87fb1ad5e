"""The desktop in every kind of trouble: it is no sink, but follows the events by a cursor of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from servers.channels import channel_of
from servers.daemon import COMMAND, until
from servers.desktop import MISSING, desktop
from servers.machine import Clock, fill, needs_faketime, needs_root, small_disk
from servers.troubled_office import FAULT_NAMES, FULL, GONE, World


class Session:
    """A person's desktop, and the notifier on it; the daemon tells the notifier, and a receiver that shows when."""

    def __init__(self, home: Path, cleanup: contextlib.ExitStack) -> None:
        self.world = World(home, cleanup.enter_context(channel_of("webhook", home)), cleanup)
        self.screen = cleanup.enter_context(desktop(home))
        self.state = home / "state" / "mdnwatch"
        self.said = home / "said"
        self._home = home
        self._cleanup = cleanup

    def notify(self, *, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """A notifier that has asked for what is new."""
        command = [*before, str(COMMAND), "notify", "--socket", str(self._home / "mdnwatch.sock")]
        with self.said.open("ab") as said:
            process = subprocess.Popen(command, env=self.screen.environ, stderr=said)
        self._cleanup.callback(process.wait)
        self._cleanup.callback(process.kill)
        until((self.state / "notified").exists, "the cursor")
        return process

    def wait_until_shown(self) -> None:
        """Until a notification stands there that names both recipients; it is put away."""
        until(lambda: self.screen.displayed, self.said.read_text)
        (one,) = self.screen.put_away()
        assert {line.partition(" (")[0] for line in one.body.splitlines()} == {f"{GONE}: failed", f"{FULL}: failed"}


def _no_daemon(session: Session) -> None:
    """The daemon is away for a while, and meanwhile mail comes."""
    with session.world.running():
        session.notify()
    until(lambda: "it is asked again" in session.said.read_text(), session.said.read_text)
    session.world.bounce()
    with session.world.running():
        session.wait_until_shown()


def _slow_desktop(session: Session) -> None:
    """Whoever shows notifications stands still for a while."""
    with session.world.running():
        session.notify()
        os.kill(session.screen.dunst, signal.SIGSTOP)
        session.world.cleanup.callback(os.kill, session.screen.dunst, signal.SIGCONT)
        session.world.bounce()
        session.world.wait_for_arrival()
        os.kill(session.screen.dunst, signal.SIGCONT)
        session.wait_until_shown()


def _full_state(session: Session) -> None:
    """What was shown cannot be noted, until it can; the daemon's next answer is at hand when something is told."""
    session.world.cleanup.enter_context(small_disk(session.state))
    with session.world.running():
        session.notify()
        fill(session.state / "filler")
        session.world.bounce()
        session.wait_until_shown()
        until(lambda: "No space left on device" in session.said.read_text(), "it is named")
        (session.state / "filler").unlink()
        session.world.receipt()
        until(lambda: (session.state / "notified").read_text().strip() == "3", "all is noted")


def _wrong_clock(session: Session, by: str) -> None:
    clock = Clock(session.world.home / "clock")
    with session.world.running():
        session.notify(before=clock.before)
        clock.jump(by)
        session.world.bounce()
        session.wait_until_shown()


def _killed_before_noting(session: Session) -> None:
    """It dies when it has shown something and not yet noted that: it is shown again."""
    session.world.cleanup.enter_context(small_disk(session.state))
    with session.world.running():
        notifier = session.notify()
        fill(session.state / "filler")
        session.world.bounce()
        session.wait_until_shown()
        notifier.kill()
        notifier.wait()
        (session.state / "filler").unlink()
        session.notify()
        session.wait_until_shown()


# A text says why there is no such fault.
FAULTS: Sequence[Callable[[Session], None] | str] = (
    _no_daemon,
    _slow_desktop,
    "D-Bus carries a message whole or not at all",
    "bus and socket are of one machine, and need no certificate",
    _full_state,
    partial(_wrong_clock, by="-3d"),
    partial(_wrong_clock, by="+3d"),
    _killed_before_noting,
)


@needs_root
@needs_faketime
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
@pytest.mark.parametrize("happens", FAULTS, ids=FAULT_NAMES)
def test_nothing_is_missing_on_the_desktop(home: Path, happens: Callable[[Session], None] | str) -> None:
    if isinstance(happens, str):
        pytest.skip(happens)
    with contextlib.ExitStack() as cleanup:
        happens(Session(home, cleanup))
