"""The exec sink against real programs: what they get, how their end is judged, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop
from servers.daemon import until

from mdnwatch.errors import ConfigError
from mdnwatch.model.notification import Outcome, Outgoing, Verdict
from mdnwatch.sinks import exec as exec_sink
from mdnwatch.sinks.exec import MAX_OUTPUT_BYTES, Exec, ExecSettings

EVENT = Outgoing("evt_1", "recipient.displayed", '{"name":"Jürgen; $(reboot)"}'.encode(), 1)


def sink(*command: str, **table: object) -> Exec:
    settings = ExecSettings.model_validate({"name": "told", "command": command, **table})
    return exec_sink.build(settings, now=lambda: datetime.now(UTC))


def outcome_of(*command: str, **table: object) -> Outcome:
    """What comes of it, on the loop that the daemon runs on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(sink(*command, **table).send(EVENT))


def shell(script: str, **table: object) -> Outcome:
    return outcome_of("/bin/sh", "-c", script, **table)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_the_event_stands_on_standard_input_as_one_line(tmp_path: Path) -> None:
    file = tmp_path / "got"
    assert shell(f"cat > {file}") == Outcome(Verdict.DELIVERED, "")
    assert file.read_bytes() == EVENT.body + b"\n"


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ("exit 0", Outcome(Verdict.DELIVERED, "")),
        ("echo fine; exit 0", Outcome(Verdict.DELIVERED, "")),
        ("exit 75", Outcome(Verdict.UNAVAILABLE, "exit status 75")),
        ("exit 1", Outcome(Verdict.REJECTED, "exit status 1")),
        ("echo no such deal >&2; exit 65", Outcome(Verdict.REJECTED, "exit status 65: no such deal")),
        (r"printf 'a\033[31mred\nline\377'; exit 1", Outcome(Verdict.REJECTED, "exit status 1: a[31mred line\ufffd")),
        ("kill -TERM $$", Outcome(Verdict.REJECTED, "ended by signal 15")),
    ],
)
def test_the_exit_status_says_what_came_of_it(script: str, outcome: Outcome) -> None:
    assert shell(script) == outcome


def test_a_program_that_says_much_is_read_to_its_end_and_little_is_kept() -> None:
    outcome = shell(f"yes | head -c {100 * MAX_OUTPUT_BYTES}; exit 1")
    assert outcome.verdict is Verdict.REJECTED
    assert len(outcome.cause) < 400


def test_a_program_that_reads_nothing_is_no_trouble() -> None:
    big = Outgoing("evt_1", "recipient.displayed", b"x" * 1_000_000, 1)
    assert asyncio.run(sink("/bin/true").send(big)).verdict is Verdict.DELIVERED


def test_at_the_time_limit_the_program_is_killed_with_its_children(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    began = time.monotonic()
    outcome = shell(f"sleep 60 & echo $! $$ > {file}; wait", timeout="500ms")
    assert outcome == Outcome(Verdict.UNAVAILABLE, "it did not end within 0.5 s, and was killed")
    assert time.monotonic() - began < 20
    pids = [int(pid) for pid in file.read_text().split()]
    until(lambda: not any(map(is_alive, pids)), f"processes {pids} are gone")


def test_a_child_that_the_program_leaves_behind_is_ended_and_holds_up_nothing(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    assert shell(f"sleep 60 & echo $! > {file}; exit 0") == Outcome(Verdict.DELIVERED, "")
    until(lambda: not is_alive(int(file.read_text())), "the child is gone")


def test_the_environment_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/mdnwatch")
    monkeypatch.setenv("CRM_SECRET", "hush")
    monkeypatch.setenv("TOKEN", "for the program")
    file = tmp_path / "environment"
    shell(f"tr '\\0' '\\n' < /proc/$$/environ > {file}; pwd >> {file}", environment={"API_TOKEN": {"env": "TOKEN"}})
    *variables, directory = file.read_text().splitlines()
    names = {variable.partition("=")[0] for variable in variables}
    assert names <= {"PATH", "HOME", "LANG", "TZ", "API_TOKEN"}
    assert "API_TOKEN=for the program" in variables
    assert directory == "/"


def test_no_descriptor_of_the_daemon_is_handed_over(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)  # noqa: FBT003 - takes no keyword
        shell(f"ls /proc/$$/fd > {tmp_path / 'open'}")
    # The shell has one of its own, numbered from 10 on.
    assert len(set((tmp_path / "open").read_text().split()) - {"0", "1", "2"}) <= 1


def test_a_program_that_is_not_there_is_told_at_the_start_and_one_that_goes_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        sink("/no/such/program")
    assert caught.value.problems == ["sink told: command: /no/such/program is no program that can be run"]
    program = tmp_path / "told"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o700)
    told = sink(str(program))
    assert asyncio.run(told.send(EVENT)).verdict is Verdict.DELIVERED
    program.unlink()
    outcome = asyncio.run(told.send(EVENT))
    assert outcome == Outcome(Verdict.UNAVAILABLE, f"{program} cannot be run: No such file or directory")


def test_cancelling_kills_the_program(tmp_path: Path) -> None:
    file = tmp_path / "pid"

    async def cancel() -> None:
        attempt = asyncio.create_task(sink("/bin/sh", "-c", f"echo $$ > {file}; sleep 60").send(EVENT))
        await asyncio.to_thread(until, lambda: file.exists() and file.read_text().strip(), "the program runs")
        attempt.cancel()
        await asyncio.wait([attempt])

    asyncio.run(cancel())
    until(lambda: not is_alive(int(file.read_text())), "it is gone")
