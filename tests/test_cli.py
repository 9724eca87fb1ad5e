from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mdnwatch import __version__, cli
from mdnwatch.commands.app import EXIT_CONFIG, EXIT_FAILURE, in_loop
from mdnwatch.errors import MdnwatchError
from mdnwatch.local_api import Peer, listening
from mdnwatch.store.sqlite import Store

# What takes long to import; `--version` and `parse` need none of it.
HEAVY = {"aiohttp", "aioimaplib", "apscheduler", "asyncio", "flanker", "pydantic", "rich", "structlog", "uvloop"}

Command = Callable[..., "Done"]

LETTER = b"From: anna@example.org\nTo: bob@example.org\nSubject: Lunch\n\nToday?\n"
NOT_THERE = "No such file or directory"


def mdnwatch(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The command as a user starts it."""
    return subprocess.run([sys.executable, "-m", "mdnwatch", *arguments], input=stdin, capture_output=True, check=False)


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command within this process, where starting one would only take time."""

    def run(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["mdnwatch", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        told = capsys.readouterr()
        code = exited.value.code
        return Done(code if isinstance(code, int) else 0, told.out, told.err)

    return run


def config(directory: Path, account: str = "") -> Path:
    (directory / "state").mkdir(exist_ok=True)
    maildir = directory / "Maildir"
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, exist_ok=True)
    path = directory / "config.toml"
    path.write_text(
        f'state_dir = "{directory / "state"}"\n[[accounts]]\nname = "app"\nkind = "maildir"\n'
        f'path = "{maildir}"\naddresses = ["app@example.org"]\n{account}'
    )
    return path


@pytest.mark.parametrize("arguments", [("--version",), ("parse", "-")])
def test_what_needs_nothing_heavy_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys; sys.argv = ['mdnwatch', *sys.argv[1:]]\n"
        "from mdnwatch.cli import main\n"
        "try: main()\n"
        "finally: print(sorted(name for name in sys.modules if '.' not in name), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], input=LETTER, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stderr.decode().replace("'", '"')))
    assert loaded & HEAVY == set()
    assert "typer" in loaded


def test_the_version_is_told() -> None:
    assert mdnwatch("--version").stdout.decode() == f"mdnwatch {__version__}\n"


def test_a_wrong_command_line_is_explained_on_standard_error() -> None:
    done = mdnwatch("wach")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"No such command 'wach'" in done.stderr


def test_parse_prints_a_line_for_each_message_it_can_read(tmp_path: Path) -> None:
    letter = tmp_path / "letter.eml"
    letter.write_bytes(LETTER)
    done = mdnwatch("parse", tmp_path / "missing.eml", letter, "-", stdin=LETTER)
    assert done.returncode == 1
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [str(letter), "-"]
    assert done.stderr.decode().splitlines() == [f"{tmp_path / 'missing.eml'}: {NOT_THERE}"]


def test_parse_splits_an_mbox(tmp_path: Path) -> None:
    mbox = tmp_path / "mbox"
    mbox.write_bytes(b"From anna Mon\n" + LETTER + b"\nFrom anna Tue\n" + LETTER)
    done = mdnwatch("parse", "--mbox", mbox)
    assert done.returncode == 0
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [f"{mbox}#1", f"{mbox}#2"]


@pytest.mark.parametrize("command", ["parse", "status"])
def test_a_reader_that_goes_away_ends_a_command_quietly(command: str, tmp_path: Path) -> None:
    letter = tmp_path / "letter.eml"
    letter.write_bytes(LETTER)
    many = [str(letter)] * 2000 if command == "parse" else ["--config", str(config(tmp_path))]
    if command == "status":
        fill_database(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "mdnwatch", command, *many], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert done.returncode in {-signal.SIGPIPE, 1}
    assert b"Traceback" not in done.stderr
    assert b"Broken pipe" not in done.stderr


def fill_database(directory: Path) -> None:
    async def open_and_close() -> None:
        store = Store(directory / "state")
        await store.open()
        await store.close()

    asyncio.run(open_and_close())


def test_a_configuration_that_can_be_used_is_summed_up(command: Command, tmp_path: Path) -> None:
    done = command("check-config", config(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{tmp_path / 'config.toml'}: can be used",
        "  account app (maildir)",
        "  no sink: what happens is kept and shown by `mdnwatch status`, and told nobody",
    ]


@pytest.mark.parametrize("arguments", [("check-config",), ("run", "--config"), ("status", "--config")])
def test_problems_of_a_configuration_are_told_line_by_line(
    arguments: tuple[str, ...], command: Command, tmp_path: Path
) -> None:
    done = command(*arguments, config(tmp_path, 'foldres = []\nbackfill = "ever"\n'))
    assert (done.returncode, done.stdout) == (EXIT_CONFIG, "")
    first, second = done.stderr.splitlines()
    assert first.startswith('mdnwatch: accounts[0].backfill: "ever" is not a duration')
    assert second == 'mdnwatch: accounts[0].foldres: unknown key (did you mean "folders"?)'


def test_check_config_tries_the_secrets_and_shows_none(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config(
        tmp_path,
        '[[sinks]]\nkind = "webhook"\nname = "crm"\nurl = "https://crm.example.org/"\n'
        'secrets = [{ env = "ONE" }, { env = "TWO" }]\n',
    )
    monkeypatch.setenv("ONE", "hunter2")
    unset = command("check-config", path)
    assert unset.returncode == EXIT_CONFIG
    assert unset.stderr == "mdnwatch: sinks[0].secrets[1]: environment variable TWO is not set\n"
    monkeypatch.setenv("TWO", "hunter2")
    wrong = command("check-config", path)
    assert wrong.returncode == EXIT_CONFIG
    assert wrong.stderr.count("is no webhook secret") == 2
    assert "hunter2" not in wrong.stdout + wrong.stderr


def test_check_config_connects_on_demand(command: Command, tmp_path: Path) -> None:
    path = config(tmp_path)
    assert command("check-config", path, "--connect").stdout.count("account app") == 2
    (tmp_path / "Maildir").rename(tmp_path / "gone")
    done = command("check-config", "--connect", path)
    assert done.returncode == EXIT_FAILURE
    assert str(tmp_path / "Maildir") in done.stdout


def test_the_configuration_can_be_named_by_the_environment(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDNWATCH_CONFIG", str(tmp_path / "elsewhere.toml"))
    for name in ("run", "status", "check-config"):
        done = command(name)
        assert done.returncode == EXIT_CONFIG
        assert f"{tmp_path / 'elsewhere.toml'}: no such file" in done.stderr


@pytest.mark.parametrize("name", ["./missing.eml", "missing.eml"])
def test_explain_says_of_a_file_that_it_is_not_there(command: Command, tmp_path: Path, name: str) -> None:
    done = command("explain", name, "--config", config(tmp_path))
    assert (done.returncode, done.stdout) == (EXIT_FAILURE, "")
    assert "there is no such file" in done.stderr


def test_explain_reads_a_mail_from_standard_input_and_tells_programs_in_codes(tmp_path: Path) -> None:
    fill_database(tmp_path)
    done = mdnwatch("explain", "-", "--json", "--config", config(tmp_path), stdin=LETTER)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["subject"], told["running"], told["file"]) == ("file", False, "-")
    assert {say["code"] for say in told["says"]} >= {"ordinary", "declares", "no-report-part"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say either --case FILE"),
        (("<1@x>", "--csv"), "leave out the Message-ID"),
        (("--case", "case.html"), "name its Message-ID"),
        (("--csv", "--since", "soon"), "is no time"),
        (("--csv", "--account", "ap"), 'did you mean "app"'),
    ],
)
def test_an_export_that_cannot_be_meant_is_refused_with_the_way_out(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    fill_database(tmp_path)
    done = command("export", *arguments, "--config", config(tmp_path))
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())


def test_status_before_the_first_run_says_so(command: Command, tmp_path: Path) -> None:
    done = command("status", "--config", config(tmp_path))
    assert done.returncode == EXIT_FAILURE
    assert "mdnwatch has not run with this state_dir yet" in done.stderr


def test_status_without_a_daemon_reads_the_database(command: Command, tmp_path: Path) -> None:
    path = config(tmp_path)
    fill_database(tmp_path)
    done = command("status", "--json", "--config", path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["running"] is False
    assert command("status", "--config", path).returncode == 0


@pytest.mark.asyncio
async def test_status_asks_the_daemon_while_it_runs(tmp_path: Path) -> None:
    asked: list[Mapping[str, Any]] = []

    class Log:
        def exception(self, event: str, **_fields: object) -> None:
            raise AssertionError(event)

    async def answer(question: Mapping[str, Any], _peer: Peer) -> Mapping[str, Any]:
        asked.append(question)
        return {"query": question["query"], "messages": [], "note": "nothing"}

    path = config(tmp_path)
    async with listening(tmp_path / "state" / "mdnwatch.sock", {"status": answer}, Log()):
        done = await asyncio.to_thread(mdnwatch, "status", "<1@example.org>", "--json", "--config", path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["note"] == "nothing"
    assert asked == [{"command": "status", "query": "<1@example.org>"}]


def test_run_logs_json_refuses_a_second_one_and_stops_at_sigterm(command: Command, tmp_path: Path) -> None:
    path = config(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "mdnwatch", "run", "--config", path], stderr=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stderr is not None
        assert json.loads(daemon.stderr.readline())["event"] == "mdnwatch started"
        assert json.loads(command("status", "--json", "--config", path).stdout)["running"] is True
        second = mdnwatch("run", "--config", path)
        daemon.send_signal(signal.SIGTERM)
        rest = [json.loads(line)["event"] for line in daemon.stderr.read().splitlines()]
        assert daemon.wait(10) == 0
    assert rest[-1] == "mdnwatch stopping"
    assert second.returncode == EXIT_FAILURE
    assert second.stderr.startswith(b"mdnwatch: ")
    assert b"Traceback" not in second.stderr


async def fail_in_a_task(error: Exception) -> None:
    async def task() -> None:
        raise error

    async with asyncio.TaskGroup() as group:
        group.create_task(task())


@pytest.mark.parametrize("error", [MdnwatchError("no room"), ZeroDivisionError()])
def test_what_stops_a_task_is_told_without_the_group_around_it(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        in_loop(fail_in_a_task(error))
    assert caught.value is error


def test_the_demo_runs_the_whole_line() -> None:
    done = mdnwatch("demo", "--plain")
    assert done.returncode == 0, done.stderr
    assert "9 signed webhooks received, each signature verified" in done.stdout.decode()


def test_output_that_the_terminal_cannot_write_is_escaped() -> None:
    fields = "Content-Type: message/disposition-notification\n\nReporting-UA: Poste 12 €\nDisposition: a/b; displayed\n"
    done = subprocess.run(
        [sys.executable, "-m", "mdnwatch", "parse", "-"],
        input=LETTER.partition(b"\n\n")[0] + b"\n" + fields.encode(),
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert b"Poste 12 \\u20ac" in done.stdout
