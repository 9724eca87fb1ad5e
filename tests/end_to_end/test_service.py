"""The daemon as a service: what it tells systemd, and how it goes on after a full disk and a clock that jumps."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import COMMAND, maildir_account, running, until, write_config
from servers.letters import deliver, maildir_name, make_maildir, sent_copy, thunderbird_receipt
from servers.machine import Clock, fill, needs_faketime, needs_root, small_disk
from servers.receiver import Answer

BOB = "bob@mail.example"


class Manager:
    """The side of systemd of sd_notify(3)."""

    def __init__(self, path: Path) -> None:
        self.environment = f"NOTIFY_SOCKET={path}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(20)

    def hears(self, *, but: str = "WATCHDOG=1") -> list[str]:
        """The lines of the next datagram that says something else than that all is well."""
        while (heard := self._socket.recv(4096).decode()) == but:
            pass
        return heard.splitlines()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(home: Path) -> Iterator[Manager]:
    with contextlib.closing(Manager(home / "notify")) as made:
        yield made


@pytest.fixture
def maildir(home: Path) -> Path:
    return make_maildir(home / "Maildir")


def displayed(maildir: Path, number: int) -> tuple[str, str, str]:
    """A message and its receipt arrive; what is to be told of it."""
    message_id = f"<offer-{number}@mail.example>"
    deliver(maildir / ".Sent", maildir_name(2 * number), sent_copy(message_id, [BOB]))
    deliver(maildir, maildir_name(2 * number + 1), thunderbird_receipt(message_id, BOB))
    return message_id, BOB, "recipient.displayed"


def test_systemd_hears_of_start_life_reload_and_end(
    home: Path, maildir: Path, receiver: BackgroundReceiver, manager: Manager
) -> None:
    config = write_config(home, maildir_account(maildir), receiver.sink)
    with running(config, before=["env", manager.environment, "WATCHDOG_USEC=400000"]) as daemon:
        assert manager.hears() == ["READY=1", "STATUS=watching 1 account(s)"]
        # sd_notify(3): the time at which the reload began, by which systemd tells it from an earlier one.
        daemon.process.send_signal(signal.SIGHUP)
        reloading, began = manager.hears()
        assert reloading == "RELOADING=1"
        microseconds = re.fullmatch(r"MONOTONIC_USEC=(\d+)", began)
        assert microseconds is not None
        assert 0 <= time.monotonic() - int(microseconds[1]) / 1e6 < 20
        assert manager.hears() == ["READY=1", "STATUS=watching 1 account(s)"]
        # A refused configuration is no failed service: the old one goes on, and systemd hears that it does.
        config.write_text("[[accounts]\n", "utf-8")
        daemon.process.send_signal(signal.SIGHUP)
        assert manager.hears()[0] == "RELOADING=1"
        assert manager.hears() == ["READY=1", "STATUS=watching 1 account(s)"]
        assert manager.hears(but="") == ["WATCHDOG=1"]
        daemon.stop()
        assert manager.hears() == ["STOPPING=1"]


@needs_root
def test_a_full_disk_is_named_and_nothing_is_lost(home: Path, maildir: Path, receiver: BackgroundReceiver) -> None:
    config = write_config(home, maildir_account(maildir, poll_interval="50ms"), receiver.sink)
    with small_disk(home / "state"), running(config) as daemon:
        facts = [displayed(maildir, 1)]
        receiver.wait_for_events(1)
        fill(home / "state" / "filler")
        facts.append(displayed(maildir, 2))
        until(lambda: "disk is full" in daemon.log, lambda: daemon.log)
        (account,) = (daemon.ask() or {})["accounts"]
        assert "disk is full" in account["cause"]
        (home / "state" / "filler").unlink()
        receiver.wait_for_events(2)
        assert sorted(told.fact for told in receiver.told) == facts


@needs_root
def test_a_disk_that_became_read_only_is_named_and_nothing_is_lost(
    home: Path, maildir: Path, receiver: BackgroundReceiver
) -> None:
    config = write_config(home, maildir_account(maildir, poll_interval="50ms"), receiver.sink)
    with small_disk(home / "state"):
        # A file system cannot be made read-only while a file of it is open for writing, but what is mounted there can.
        with running(config) as daemon:
            facts = [displayed(maildir, 1)]
            receiver.wait_for_events(1)
            daemon.stop()
        subprocess.run(["mount", "-o", "remount,ro", home / "state"], check=True)
        command: list[str | Path] = [COMMAND, "run", "--config", config]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert refused.returncode == 1
        assert "Read-only file system" in refused.stderr
        subprocess.run(["mount", "-o", "remount,rw", home / "state"], check=True)
        facts.append(displayed(maildir, 2))
        with running(config):
            receiver.wait_for_events(2)
        assert sorted(told.fact for told in receiver.told) == facts


@needs_faketime
@pytest.mark.parametrize("jump", ["-3d", "+3d"])
def test_a_clock_that_jumps_loses_and_delays_nothing(
    home: Path, maildir: Path, receiver: BackgroundReceiver, jump: str
) -> None:
    clock = Clock(home / "clock")
    config = write_config(home, maildir_account(maildir, poll_interval="50ms"), receiver.sink)
    with running(config, before=clock.before) as daemon:
        facts = [displayed(maildir, 1)]
        receiver.wait_for_events(1)
        # What fails now is tried again in five seconds, by a clock that will have jumped.
        receiver.receiver.behaviour = lambda _: Answer(500)
        facts.append(displayed(maildir, 2))
        until(lambda: "event not delivered" in daemon.log, lambda: daemon.log)
        clock.jump(jump)
        receiver.receiver.behaviour = lambda _: Answer(200)
        facts.append(displayed(maildir, 3))
        receiver.wait_for(lambda told: {one.fact for one in told} == set(facts))
        if jump.startswith("-"):
            until(lambda: "clock was set back" in daemon.log, lambda: daemon.log)
