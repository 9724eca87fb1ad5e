"""Every sink in every kind of trouble: nothing is lost, and nothing comes twice where the channel can tell.

FAULTS has a row for each kind of sink and a column for each fault; "How often an event may arrive" in the README says
it in words.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from _pytest.mark import ParameterSet
from servers.channels import Arrival, Fact, LogChannel, channel_of
from servers.daemon import COMMAND, Daemon, maildir_account, running, until, write_config
from servers.desktop import MISSING, desktop
from servers.dovecot import certificates
from servers.letters import deliver, maildir_name, make_maildir, sendmail_bounce, sent_copy, thunderbird_receipt
from servers.machine import Clock, fill, needs_faketime, needs_root, small_disk

import mdnwatch.sinks
from mdnwatch.config import kinds

OFFER, GONE, FULL = "<offer@mail.example>", "gone@there.example", "full@there.example"

# In the order in which one of them is told of each recipient; the last one comes when the fault is noticed.
TOLD: Sequence[Fact] = ((GONE, "failed"), (FULL, "failed"), (GONE, "displayed"))

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

NOT_TAKEN = "event not delivered"

# Seconds. Long enough for a program to start on a busy machine.
SHORT_TIMEOUT = "2s"


class World:
    """An office whose offer bounces, one of whose recipients then displays it; a channel that is to hear of both."""

    def __init__(self, home: Path, channel: Any, cleanup: contextlib.ExitStack) -> None:  # noqa: ANN401 - each fault asks for what it needs
        self.home = home
        self.channel = channel
        self.cleanup = cleanup
        self._maildir = make_maildir(home / "Maildir")
        deliver(self._maildir / ".Sent", maildir_name(0), sent_copy(OFFER, [GONE, FULL]))

    @contextlib.contextmanager
    def running(self, *, before: Sequence[str] = (), **settings: object) -> Iterator[Daemon]:
        """A daemon that tells the channel."""
        account = maildir_account(self._maildir, poll_interval="50ms")
        with running(write_config(self.home, account, self.channel.sink(**settings)), before=before) as daemon:
            yield daemon

    def bounce(self) -> None:
        """It did not reach either recipient."""
        deliver(self._maildir, maildir_name(1), sendmail_bounce(OFFER, GONE, FULL))

    def receipt(self) -> None:
        """One of them displays it nevertheless."""
        deliver(self._maildir, maildir_name(2), thunderbird_receipt(OFFER, GONE))

    def wait_for_arrival(self) -> None:
        """Until the channel has taken something."""
        until(self.channel.arrivals, "an arrival")

    def wait_for_line(self, daemon: Daemon, words: str) -> None:
        """Until the daemon has said it."""
        until(lambda: words in daemon.log, lambda: f"{words!r}\n{daemon.log}")

    def wait_for_all(self) -> None:
        """Until everything has arrived, and that is recorded."""
        until(lambda: {one.fact for one in self.channel.arrivals()} >= {*TOLD}, self.channel.arrivals)
        until(lambda: self._waiting() == 0, "all is recorded")

    def _waiting(self) -> int:
        path = f"file:{self.home}/state/mdnwatch.sqlite3?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True)) as db:
            ((count,),) = db.execute("SELECT count(*) FROM notification WHERE finished_at IS NULL").fetchall()
        return int(count)


# What happens to a channel that answers.


def away(world: World) -> None:
    """There is nobody, and then there is."""
    with world.running() as daemon:
        world.channel.go_away()
        world.bounce()
        world.wait_for_line(daemon, NOT_TAKEN)
        world.receipt()
        world.channel.come_back()
        world.wait_for_all()


def slow(world: World) -> None:
    """It takes an event, and says so too late."""
    world.channel.hold()
    with world.running(timeout=SHORT_TIMEOUT) as daemon:
        world.bounce()
        world.wait_for_line(daemon, NOT_TAKEN)
        world.receipt()
        world.channel.release()
        world.wait_for_all()


def half(world: World) -> None:
    """It takes an event, and breaks off while it says so."""
    world.channel.break_off()
    with world.running() as daemon:
        world.bounce()
        world.wait_for_line(daemon, NOT_TAKEN)
        world.receipt()
        world.channel.release()
        world.wait_for_all()


def untrusted(world: World) -> None:
    """Its certificate is another authority's, and then the right one."""
    right, wrong = world.home / "right", world.home / "wrong"
    certificates(right)
    certificates(wrong)
    world.channel.show(wrong)
    trusted = right / "ca.pem"
    with world.running(before=["env", f"REQUESTS_CA_BUNDLE={trusted}"], tls_ca=trusted) as daemon:
        world.bounce()
        world.wait_for_line(daemon, NOT_TAKEN)
        assert not world.channel.arrivals()
        world.receipt()
        world.channel.show(right)
        world.wait_for_all()


def full(world: World) -> None:
    """The disk of the database is full when the answer comes, so that it cannot be recorded."""
    world.channel.hold()
    with small_disk(world.home / "state"), world.running() as daemon:
        world.bounce()
        world.wait_for_arrival()
        fill(world.home / "state" / "filler")
        world.channel.release()
        world.wait_for_line(daemon, "outbox cannot be written")
        world.receipt()
        (world.home / "state" / "filler").unlink()
        world.wait_for_all()


def _jump(world: World, by: str) -> None:
    clock = Clock(world.home / "clock")
    with world.running(before=clock.before) as daemon:
        world.channel.go_away()
        world.bounce()
        world.wait_for_line(daemon, NOT_TAKEN)
        clock.jump(by)
        world.receipt()
        world.channel.come_back()
        world.wait_for_all()


def set_back(world: World) -> None:
    """The clock goes back while an attempt is awaited."""
    _jump(world, "-3d")


def set_forward(world: World) -> None:
    """The clock goes forward while an attempt is awaited."""
    _jump(world, "+3d")


def killed(world: World) -> None:
    """The daemon is killed when the channel has taken an event and not yet said so."""
    world.channel.hold()
    with world.running() as daemon:
        world.bounce()
        world.wait_for_arrival()
        daemon.kill()
    world.channel.release()
    world.receipt()
    with world.running():
        world.wait_for_all()


# What happens to a file.


def _at_second_sync(log: LogChannel, what: str) -> list[str]:
    """The command that starts the daemon and does something when it syncs its first line (before, it syncs none)."""
    inject = f"inject=fsync:{what}:when=2"
    return ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", str(log.path), "-e", "trace=fsync", "-e", inject]


def slow_disk(world: World) -> None:
    """A line is on the disk only after the time limit."""
    with world.running(before=_at_second_sync(world.channel, "delay_enter=3000000"), timeout="1s") as daemon:
        world.bounce()
        world.wait_for_line(daemon, NOT_TAKEN)
        world.receipt()
        world.wait_for_all()


def torn_line(world: World) -> None:
    """A power cut has left half a line."""
    world.channel.path.write_bytes(b'{"type":"recipient.failed","timest')
    with world.running():
        world.bounce()
        world.receipt()
        world.wait_for_all()


def full_file(world: World) -> None:
    """The disk of the file is full."""
    world.channel.go_away()
    world.cleanup.enter_context(small_disk(world.channel.path.parent))
    filler = world.channel.path.with_name("filler")
    fill(filler)
    with world.running() as daemon:
        world.bounce()
        world.wait_for_line(daemon, NOT_TAKEN)
        assert "the disk is full: make room" in daemon.log
        world.receipt()
        filler.unlink()
        world.wait_for_all()


def killed_between_line_and_record(world: World) -> None:
    """The daemon is killed when a line is in the file and not yet recorded as delivered."""
    with world.running(before=_at_second_sync(world.channel, "signal=KILL")) as daemon:
        world.bounce()
        daemon.process.wait(20)
    world.wait_for_arrival()
    world.receipt()
    with world.running():
        world.wait_for_all()


class Cell(NamedTuple):
    """What happens, and whether an event then arrives again: at least one does, or the table would say too much."""

    happens: Callable[[World], None]
    again: bool
    is_slow: bool = False  # one of those that differ from a quick cell of another channel in little


ONCE, AGAIN, SLOW = False, True, True

NEEDS: Mapping[Callable[[World], None], Sequence[pytest.MarkDecorator]] = {
    full: [needs_root],
    full_file: [needs_root],
    set_back: [needs_faketime],
    set_forward: [needs_faketime],
    slow_disk: [needs_strace],
    killed_between_line_and_record: [needs_strace],
}

NAMES = ("away", "slow", "half an answer", "wrong certificate", "disk full", "clock back", "clock forward", "killed")

# A text says why there is no such fault.
FAULTS: Mapping[str, Sequence[Cell | str]] = {
    "webhook": (
        Cell(away, ONCE),
        Cell(slow, AGAIN),
        Cell(half, AGAIN),
        Cell(untrusted, ONCE),
        Cell(full, ONCE),
        Cell(set_back, ONCE),
        Cell(set_forward, ONCE),
        Cell(killed, AGAIN),
    ),
    "email": (
        Cell(away, ONCE),
        Cell(slow, AGAIN),
        Cell(half, AGAIN),
        Cell(untrusted, ONCE),
        Cell(full, ONCE, SLOW),
        Cell(set_back, ONCE, SLOW),
        Cell(set_forward, ONCE, SLOW),
        Cell(killed, AGAIN),
    ),
    "apprise": (
        Cell(away, ONCE),
        Cell(slow, AGAIN),
        Cell(half, AGAIN),
        Cell(untrusted, ONCE),
        Cell(full, ONCE, SLOW),
        Cell(set_back, ONCE, SLOW),
        Cell(set_forward, ONCE, SLOW),
        Cell(killed, AGAIN),
    ),
    "exec": (
        Cell(away, ONCE),
        Cell(slow, AGAIN),
        Cell(half, AGAIN),
        "a program shows no certificate",
        Cell(full, ONCE),
        Cell(set_back, ONCE, SLOW),
        Cell(set_forward, ONCE, SLOW),
        Cell(killed, AGAIN),
    ),
    "log": (
        Cell(away, ONCE),
        Cell(slow_disk, ONCE),
        Cell(torn_line, ONCE),
        "a file shows no certificate",
        Cell(full_file, ONCE),
        Cell(set_back, ONCE, SLOW),
        Cell(set_forward, ONCE, SLOW),
        Cell(killed_between_line_and_record, ONCE),
    ),
}


def test_the_table_is_complete() -> None:
    assert set(FAULTS) == {*kinds(mdnwatch.sinks)}
    assert {len(row) for row in FAULTS.values()} == {len(NAMES)}


@pytest.mark.parametrize("kind", FAULTS)
def test_the_readme_says_of_each_sink_how_often_an_event_may_arrive(kind: str) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    _, _, section = readme.partition("### How often an event may arrive")
    (row,) = (line for line in section.partition("\n#")[0].splitlines() if line.startswith(f"| `{kind}` |"))
    may_repeat = any(isinstance(cell, Cell) and cell.again for cell in FAULTS[kind])
    assert ("again" in row) is may_repeat


def _cell(kind: str, name: str, cell: Cell | str) -> ParameterSet:
    if isinstance(cell, str):
        marks = [pytest.mark.skip(reason=cell)]
    else:
        marks = [*NEEDS.get(cell.happens, ()), *([pytest.mark.slow] if cell.is_slow else [])]
    return pytest.param(kind, cell, id=f"{kind}-{name}", marks=marks)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [_cell(kind, name, cell) for kind, row in FAULTS.items() for name, cell in zip(NAMES, row, strict=True)],
)
def test_nothing_is_lost_and_only_what_the_channel_cannot_tell_comes_again(home: Path, kind: str, cell: Cell) -> None:
    with contextlib.ExitStack() as cleanup:
        channel = cleanup.enter_context(channel_of(kind, home))
        cell.happens(World(home, channel, cleanup))
        arrivals = channel.arrivals()
    check(arrivals, again=cell.again)


def check(arrivals: Sequence[Arrival], *, again: bool) -> None:
    """Everything came, in order for each recipient; again only where it may, and under the id that it had."""
    times = Counter(one.fact for one in arrivals)
    assert set(times) == {*TOLD}
    assert (max(times.values()) > 1) is again, arrivals
    assert len({(one.id, one.fact) for one in arrivals}) == len(TOLD), "one id each"
    of_one = [one.fact for one in arrivals if one.fact[0] == GONE]
    assert of_one == sorted(of_one, key=TOLD.index)


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


# A row for what is no sink, but follows by a cursor.
NOTIFY: Sequence[Callable[[Session], None] | str] = (
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
@pytest.mark.parametrize("happens", NOTIFY, ids=NAMES)
def test_nothing_is_missing_on_the_desktop(home: Path, happens: Callable[[Session], None] | str) -> None:
    if isinstance(happens, str):
        pytest.skip(happens)
    with contextlib.ExitStack() as cleanup:
        happens(Session(home, cleanup))
