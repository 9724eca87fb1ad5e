"""The README's first command, as somebody runs it on a fresh machine."""

from __future__ import annotations

import asyncio
import html
import io
import json
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import make_demo_svg
import pytest
import schema_check
from rich.console import Console
from servers.daemon import COMMAND, PATIENCE_SECONDS
from servers.terminal import at_terminal

from mdnwatch.demo import SCENES, play
from mdnwatch.demo_board import Board, View, event_line
from mdnwatch.log import configure

# Every recipient: the state, what it rests on, how that was matched and how far it is trusted, and the webhook.
TOLD = {
    "anna@client.example": ("displayed", "receipt of Mozilla Thunderbird", "original-message-id, consistent"),
    "nora@notary.example": (
        "delivered",
        "delivered (to mailbox) by sm.mail.example",
        "returned-message-id, consistent",
    ),
    "office@partner.example": ("relayed", "relayed (to non-DSN-aware mailer) by sm", "returned-message-id, consistent"),
    "ghost@builder.example": ("failed", "550 5.1.1 Recipient address rejected", "returned-message-id, consistent"),
    "carl@store.example": ("delivered", "delivered by mx.mail.example", "returned-message-id, consistent"),
    "tom@tenant.example": ("failed", "refused by Dovecot Mail Delivery Agent", "original-message-id, consistent"),
    "eva@partner.example": ("displayed", "receipt of Evolution 3.46.4", "original-message-id, consistent"),
    "paul@garage.example": ("no evidence", "receipt older than its message", "contradicted: it changes nothing"),
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home, place for temporary files and working directory of the demo."""
    return tmp_path_factory.mktemp("demo")


def run_in(directory: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=directory,
        env={
            # As with the README's first command, the name alone finds nothing.
            "PATH": os.pathsep.join(place for place in os.get_exec_path() if not Path(place, "mdnwatch").exists()),
            "HOME": str(directory),
            "TMPDIR": str(directory),
            "LANG": "C.UTF-8",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def demo(empty: Path) -> subprocess.CompletedProcess[str]:
    return run_in(empty, COMMAND, "demo", "--plain")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A directory in which the demo has played, and what it said."""
    directory = tmp_path_factory.mktemp("kept") / "new"
    done = run_in(directory.parent, COMMAND, "demo", "--keep", directory)
    assert done.returncode == 0, done.stderr
    return directory, done.stdout


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """What is to be seen in the end."""
    configure("error")
    return asyncio.run(play(tmp_path_factory.mktemp("board"), lambda _board, _words: None))


def test_the_demo_ends_well_and_complains_of_nothing(demo: subprocess.CompletedProcess[str]) -> None:
    assert (demo.returncode, demo.stderr) == (0, "")


def test_the_demo_tells_every_webhook_and_that_the_signatures_are_right(
    demo: subprocess.CompletedProcess[str],
) -> None:
    webhooks = [line.split(": ")[0].strip() for line in demo.stdout.splitlines() if "webhook re" in line]
    # Of one report about three recipients they go out together: order is kept per recipient only.
    webhooks[1:4] = sorted(webhooks[1:4])
    assert webhooks == [
        "webhook recipient.displayed",
        "webhook recipient.delivered",
        "webhook recipient.failed",
        "webhook recipient.relayed",
        "webhook recipient.delayed",
        "webhook recipient.failed",
        "webhook recipient.displayed",
        "webhook recipient.delivered",
        "webhook report.suspicious",
    ]
    assert demo.stdout.splitlines()[-1] == "9 signed webhooks received, each signature verified"


def test_the_demo_tells_every_state_with_what_it_rests_on(demo: subprocess.CompletedProcess[str]) -> None:
    lines = demo.stdout.splitlines()
    for address, (state, why, trust) in TOLD.items():
        if state == "no evidence":
            assert f"  {address}: no evidence (which is not “unread”)" in lines
            continue
        assert f"  {address}: {state}" in lines
        start = f"{address} is now {state} ({why}"
        assert any(start in line and f"matched by {trust})" in line for line in lines), start


def test_every_scene_is_told_before_what_comes_of_it(demo: subprocess.CompletedProcess[str]) -> None:
    lines = demo.stdout.splitlines()
    for scene in SCENES:
        after = lines[lines.index(scene.words) + 1 :]
        assert all("webhook" in line for line in after[: scene.events])
        assert "webhook" not in after[scene.events]


def test_the_demo_leaves_nothing_behind(demo: subprocess.CompletedProcess[str], empty: Path) -> None:
    assert demo.returncode == 0
    assert list(empty.iterdir()) == []


def test_what_is_kept_can_be_looked_at_with_the_commands_that_are_named(kept: tuple[Path, str]) -> None:
    directory, said = kept
    commands = [line.strip() for line in said.partition("Try next:")[2].splitlines() if line.strip()]
    told = {command: run_in(directory, *shlex.split(command)) for command in commands}
    assert {command: done.returncode for command, done in told.items()} == dict.fromkeys(commands, 0)
    status, ghost, log, parse, webhooks = (done.stdout for done in told.values())
    assert "sent messages known: 6" in status
    assert "ghost@builder.example: failed" in ghost
    assert [address for address in TOLD if address in log] == ["ghost@builder.example", "tom@tenant.example"]
    assert sum(json.loads(line)["kind"] in {"mdn", "dsn"} for line in parse.splitlines()) == 7
    assert len(webhooks.splitlines()) == 9


def test_the_status_log_holds_what_the_webhooks_told(kept: tuple[Path, str]) -> None:
    directory, _ = kept
    lines = (directory / "events.jsonl").read_text().splitlines()
    assert sorted(lines) == sorted(path.read_text() for path in (directory / "webhooks").iterdir())
    assert [fault for line in lines for fault in schema_check.faults(line)] == []


def test_what_is_kept_is_for_its_owner(kept: tuple[Path, str]) -> None:
    directory, _ = kept
    assert directory.stat().st_mode & 0o077 == 0
    assert (directory / "config.toml").stat().st_mode & 0o077 == 0


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    done = run_in(tmp_path, COMMAND, "demo", "--keep", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"mdnwatch: {tmp_path} is not empty: name a new directory\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("width", [60, 80, 110, 200])
def test_the_table_fits_the_terminal(board: Board, width: int) -> None:
    out = io.StringIO()
    Console(file=out, width=width).print(View(board, "caption"))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    # Two lines for each recipient: all of it stands on a screen of 24 lines, with the last line and the prompt.
    assert len(lines) == 2 * len(TOLD) + 5


def test_the_table_shows_state_reason_trust_and_webhook(board: Board) -> None:
    out = io.StringIO()
    Console(file=out, width=200).print(View(board, "caption"))
    lines = out.getvalue().splitlines()
    for address, (state, why, trust) in TOLD.items():
        (number,) = (number for number, line in enumerate(lines) if address in line)
        assert state in lines[number]
        assert why in lines[number]
        assert "✓ re" in lines[number]
        assert trust in lines[number + 1]
    assert "after delayed" in out.getvalue()


def test_foreign_text_is_no_markup(board: Board) -> None:
    event = json.loads(json.dumps(board.received[0]))
    event["data"]["message"]["subject"] = "[bold]Offer[/bold] [link=x]"
    event["data"]["evidence"]["fields"]["reportingUA"] = "[red]evil"
    mine, out = Board(), io.StringIO()
    mine.take(event)
    Console(file=out, width=200).print(View(mine, "caption"))
    assert "[bold]Offer[/bold] [link=x]" in out.getvalue()
    assert "[red]evil" in out.getvalue()
    assert "[red]evil" in event_line(event)


def test_the_picture_in_the_readme_is_what_the_demo_shows(board: Board) -> None:
    def texts(svg: str) -> list[str]:
        return [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]+)</text>", svg)]

    assert texts(make_demo_svg.PICTURE.read_text("utf-8")) == texts(make_demo_svg.drawn(board))


@pytest.fixture
def short_home() -> Iterator[Path]:
    """Pytest's own names are long, and the path of the demo's socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="mdnwatch-") as directory:
        yield Path(directory)


@pytest.mark.slow
def test_on_a_terminal_a_live_table_is_drawn_over_ten_seconds(short_home: Path) -> None:
    with at_terminal([COMMAND, "demo"], {"TMPDIR": str(short_home), "HOME": str(short_home)}, columns=120) as terminal:
        for scene in SCENES:
            terminal.expect(scene.words)
        terminal.expect("9 signed webhooks received, each signature verified")
        assert terminal.end() == 0
    assert terminal.seen.rindex("\x1b[?25h") > terminal.seen.rindex("\x1b[?25l"), "the cursor is back"
    assert list(short_home.iterdir()) == []
