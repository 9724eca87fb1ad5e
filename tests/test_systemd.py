from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mdnwatch import systemd

UNIT = Path(__file__).parent.parent / "systemd" / "mdnwatch.service"
LAUNCHER = Path("/opt/mdnwatch/bin/mdnwatch")


def receiver(address: str) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bound.bind(address)
    bound.settimeout(5)
    return bound


def test_a_state_reaches_the_socket_that_systemd_names(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with receiver(address) as bound:
        systemd.notify("READY=1\nSTATUS=watching 3 accounts", {"NOTIFY_SOCKET": address})
        assert bound.recv(1000) == b"READY=1\nSTATUS=watching 3 accounts"


def test_an_abstract_socket_is_reached_too() -> None:
    name = f"mdnwatch-test-{os.getpid()}-{time.monotonic_ns()}"
    with receiver("\0" + name) as bound:
        systemd.notify("WATCHDOG=1", {"NOTIFY_SOCKET": "@" + name})
        assert bound.recv(1000) == b"WATCHDOG=1"


def test_without_systemd_nobody_is_told() -> None:
    systemd.notify("READY=1", {})


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_systemd_asks(environ: dict[str, str], seconds: float | None) -> None:
    assert systemd.watchdog_interval(environ) == seconds


needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture
def installed() -> Iterator[None]:
    """A launcher where the unit expects the program; what stands there already is left alone."""
    if LAUNCHER.exists():
        yield
        return
    if os.geteuid() != 0:
        pytest.skip(f"only root can put {LAUNCHER} in its place")
    top = next(path for path in (Path("/opt"), Path("/opt/mdnwatch"), LAUNCHER.parent, LAUNCHER) if not path.exists())
    LAUNCHER.parent.mkdir(parents=True, exist_ok=True)
    LAUNCHER.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mdnwatch "$@"\n')
    LAUNCHER.chmod(0o755)
    try:
        yield
    finally:
        LAUNCHER.unlink() if top == LAUNCHER else shutil.rmtree(top)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_systemd
@pytest.mark.usefixtures("installed")
def test_the_unit_is_valid_and_the_program_is_where_it_says() -> None:
    done = run("systemd-analyze", "verify", UNIT)
    assert (done.returncode, done.stderr) == (0, "")
    assert run(LAUNCHER, "--version").stdout.startswith("mdnwatch ")


@needs_systemd
def test_the_unit_is_hardened_and_yet_sees_who_asks() -> None:
    done = run("systemd-analyze", "security", "--offline=true", UNIT)
    level = re.search(r"Overall exposure level for mdnwatch.service: ([\d.]+)", done.stdout)
    assert level is not None, done.stdout + done.stderr
    assert float(level[1]) <= 1.5
    assert "\nPrivateUsers=" not in UNIT.read_text("utf-8")


@pytest.mark.parametrize(
    "line",
    ["Type=notify", "Restart=always", "StartLimitIntervalSec=0", "DynamicUser=yes", "StateDirectory=mdnwatch",
     "RuntimeDirectory=mdnwatch", f"ExecStart={LAUNCHER} run --config /etc/mdnwatch/config.toml"],
)  # fmt: skip
def test_the_unit_says(line: str) -> None:
    assert line in UNIT.read_text("utf-8").splitlines()
