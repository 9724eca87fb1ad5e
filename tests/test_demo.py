"""The README's first command, as somebody runs it on a fresh machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from servers.daemon import COMMAND, PATIENCE_SECONDS


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home, place for temporary files and working directory of the demo."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(empty: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "demo", "--plain"],
        cwd=empty,
        env={"PATH": os.environ["PATH"], "HOME": str(empty), "TMPDIR": str(empty), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_the_demo_ends_well_and_complains_of_nothing(demo: subprocess.CompletedProcess[str]) -> None:
    assert (demo.returncode, demo.stderr) == (0, "")


def test_the_demo_tells_three_webhooks_and_that_their_signatures_are_right(
    demo: subprocess.CompletedProcess[str],
) -> None:
    webhooks = [line for line in demo.stdout.splitlines() if line.startswith("webhook ")]
    assert [line.split(": ")[0] for line in sorted(webhooks)] == [
        "webhook recipient.displayed",
        "webhook recipient.failed",
        "webhook recipient.failed",
    ]
    assert demo.stdout.splitlines()[-1] == "3 signed webhooks received, each signature verified"


def test_the_demo_tells_every_state_with_what_it_rests_on(demo: subprocess.CompletedProcess[str]) -> None:
    for line in (
        "  tb@mail.example: displayed",
        "  bob@mail.example: no evidence (which is not “unread”)",
        "  x@reject.example: failed",
        "  y@quota.example: failed",
    ):
        assert line in demo.stdout.splitlines()
    assert "Mozilla Thunderbird says so; matched by original-message-id, consistent" in demo.stdout
    assert "matched by returned-message-id, consistent" in demo.stdout


def test_the_demo_leaves_nothing_behind(demo: subprocess.CompletedProcess[str], empty: Path) -> None:
    assert demo.returncode == 0
    assert list(empty.iterdir()) == []
