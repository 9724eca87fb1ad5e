"""Every sink in every kind of trouble: nothing is lost, and nothing comes twice where the channel can tell.

FAULTS has a row for each kind of sink and a column for each fault; "How often an event may arrive" in the README says
it in words.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from _pytest.mark import ParameterSet
from servers.channels import Arrival, LogChannel, channel_of
from servers.dovecot import certificates
from servers.machine import Clock, fill, needs_faketime, needs_root, small_disk
from servers.troubled_office import FAULT_NAMES, GONE, TOLD, World

import mdnwatch.sinks
from mdnwatch.config import kinds

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

NOT_TAKEN = "event not delivered"

# Seconds. Long enough for a program to start on a busy machine.
SHORT_TIMEOUT = "2s"


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
        assert "did not keep its time limit" not in daemon.log
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
    assert {len(row) for row in FAULTS.values()} == {len(FAULT_NAMES)}


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
    [_cell(kind, name, cell) for kind, row in FAULTS.items() for name, cell in zip(FAULT_NAMES, row, strict=True)],
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
