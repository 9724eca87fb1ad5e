"""`mdnwatch log`: the right events, for people and for programs, also while logrotate is at work."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import threading
import tracemalloc
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from servers.daemon import COMMAND, PATIENCE_SECONDS, until

from mdnwatch.status_log import Question, WrongQuestion, question, stored_lines, tell

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


def event(number: int = 1, *, minutes: float = 0, **recipient: object) -> dict[str, Any]:
    """An event about a recipient, so many minutes before NOW."""
    at = (NOW - timedelta(minutes=minutes)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "type": "recipient.failed",
        "timestamp": at,
        "data": {
            "id": f"evt_{number}",
            "message": {"message_id": f"<{number}@mail.example>", "account": "sales", "subject": "Offer: prüfen"},
            "recipient": {"address": "Bob@there.example", "addressed": True, "summary": "failed", **recipient},
            "evidence": {"kind": "failed", "fields": {"diagnostic_code": "smtp; 550 5.1.1 User unknown"}},
            "authenticity": {"grade": "doubtful", "reasons": [{"code": "not-addressed", "text": "…"}]},
        },
    }  # fmt: skip


SUSPICIOUS = {
    "type": "report.suspicious",
    "timestamp": "2026-11-23T14:59:00.000Z",
    "data": {"id": "evt_9", "account": "app", "message_id": "<9@mail.example>", "recipient": "eve@there.example"},
}


def line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def wants(where: str, value: Mapping[str, Any] | None = None) -> bool:
    return question(None, [where], NOW).wants(event() if value is None else value)


@pytest.mark.parametrize(
    "where",
    [
        "summary=failed",
        "summary = FAILED",
        "recipient=bob@there.example",
        "recipient=*@there.example",
        "message=1@mail.example",
        "message=<1@mail.example>",
        "type=recipient.*",
        "account=sales",
        "grade=doubtful",
        "evidence.kind=failed",
        "data.evidence.kind=failed",
        "evidence.fields.diagnostic_code=*User unknown",
        "recipient.addressed=true",
        "recipient.flags=conflicting",
        "authenticity.reasons.code=not-addressed",
        "id=evt_1",
    ],
)
def test_conditions_that_hold(where: str) -> None:
    assert wants(where, event(flags=["partly_failed", "conflicting"]))


@pytest.mark.parametrize(
    "where",
    ["summary=displayed", "recipient=bob", "message=2@mail.example", "recipient.flags=conflicting", "sink=crm",
     "evidence.fields.status=*", "recipient=b.b@there.example", "evidence.fields=*"],
)  # fmt: skip
def test_conditions_that_do_not_hold(where: str) -> None:
    assert not wants(where)


@pytest.mark.parametrize("where", ["recipient=eve@there.example", "message=9@mail.example", "account=app"])
def test_the_short_names_also_find_events_about_reports(where: str) -> None:
    assert wants(where, SUSPICIOUS)


def test_several_conditions_have_to_hold_all() -> None:
    assert question(None, ["summary=failed", "account=sales"], NOW).wants(event())
    assert not question(None, ["summary=failed", "account=app"], NOW).wants(event())


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("failed", '"failed" is no condition: write KEY=VALUE, as in summary=failed'),
        ("summary=", '"summary=" is no condition: write KEY=VALUE, as in summary=failed'),
        ("=failed", '"=failed" is no condition: write KEY=VALUE, as in summary=failed'),
        ("sumary=failed", '"sumary" is no key of an event (did you mean "summary"?)'),
        ("evidense.kind=failed", '"evidense.kind" is no key of an event (did you mean "evidence"?)'),
        ("evidence..kind=failed", '"evidence..kind" is no key of an event (did you mean "evidence"?)'),
        ("evidence=failed", '"evidence" holds several values: name one of them, as in evidence.kind=failed'),
        ("type=recipient.read", 'type: "recipient.read" is not one of '),
        ("grade=good", 'grade: "good" is not one of authenticated, consistent, doubtful, contradicted'),
        ("summary=fialed", 'summary: "fialed" is not one of replied, displayed, failed'),
        ("colour=red", '"colour" is no key of an event: write one of summary, recipient, message, type'),
    ],
)  # fmt: skip
def test_a_condition_that_cannot_be_meant_is_told_with_the_way_out(where: str, words: str) -> None:
    with pytest.raises(WrongQuestion) as caught:
        question(None, [where], NOW)
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("since", "moment"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("2h", NOW - timedelta(hours=2)),
        ("3d", NOW - timedelta(days=3)),
        ("2026-11-23T14:30Z", datetime(2026, 11, 23, 14, 30, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20).astimezone()),  # where the machine stands
    ],
)
def test_since_is_a_duration_or_a_date(since: str, moment: datetime) -> None:
    assert question(since, [], NOW) == Question(moment)


@pytest.mark.parametrize(
    ("since", "words"),
    [
        ("yesterday", '"yesterday" is no time: write how long ago ("90s", "30min", "2h", "3d") or when ("2026-11-23"'),
        ("2026-13-01", '"2026-13-01" is no time'),
        ("99999999999d", '"99999999999d" is no time'),
        ("2027-01-01", '"2027-01-01" lies in the future'),
    ],
)
def test_a_time_that_cannot_be_meant_is_told_with_the_way_out(since: str, words: str) -> None:
    with pytest.raises(WrongQuestion) as caught:
        question(since, [], NOW)
    assert str(caught.value).startswith(words)


def test_an_event_of_that_very_moment_counts_and_one_without_time_does_not() -> None:
    wanted = question("2h", [], NOW)
    assert wanted.wants(event(minutes=120))
    assert not wanted.wants(event(minutes=120.001))
    assert not wanted.wants({"type": "recipient.failed", "timestamp": "soon"})


def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with path.open("wb") as file:
        file.writelines(line(event(number)) for number in range(20_000))
        file.write(b"x" * 5_000_000 + b"\n")
        file.write(line(SUSPICIOUS))
    seen = 0

    def write(_line: bytes, _event: object) -> None:
        nonlocal seen
        seen += 1

    tracemalloc.start()
    try:
        strange = tell(stored_lines(path), Question(), write)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (seen, strange) == (20_001, 0)
    assert peak < 6_000_000 < path.stat().st_size


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join([line(event(1)), line(SUSPICIOUS), b"no event\n", line(event(2, summary="displayed"))]))
    return path


def mdnwatch_log(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [COMMAND, "log", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=PATIENCE_SECONDS, check=False)


def test_people_get_a_line_for_each_event(path: Path) -> None:
    done = mdnwatch_log(path)
    assert done.returncode == 0
    first, second, third = done.stdout.decode().splitlines()
    words = ("Bob@there.example", "failed", "550 5.1.1 User unknown", "Offer: prüfen", "doubtful")
    assert [first.index(word) for word in words] == sorted(first.index(word) for word in words)
    assert "eve@there.example" in second
    assert "displayed" in third
    assert "\x1b" not in done.stdout.decode()
    assert done.stderr.decode() == f"mdnwatch: 1 line(s) of {path} are no events, and were left out\n"


def test_programs_get_the_lines_as_they_are(path: Path) -> None:
    chosen = mdnwatch_log(path, "--json", "--where", "type=recipient.*", "--where", "summary=displayed")
    assert chosen.stdout == line(event(2, summary="displayed"))
    piped = mdnwatch_log("-", "--json", stdin=path.read_bytes())
    assert piped.stdout == path.read_bytes().replace(b"no event\n", b"")


def test_the_configuration_names_the_log(path: Path) -> None:
    config = path.with_name("config.toml")
    tables = '[[accounts]]\nname = "app"\nkind = "maildir"\npath = "/m"\naddresses = ["a@example.org"]\n'
    config.write_text(f'state_dir = "/s"\n{tables}')
    without = mdnwatch_log("--config", config)
    assert without.returncode == 1
    assert b"the configuration has no status log: add [[sinks]]" in without.stderr
    config.write_text(f'state_dir = "/s"\n{tables}[[sinks]]\nkind = "log"\nname = "events"\npath = "{path}"\n')
    assert mdnwatch_log("--config", config, "--json").stdout.count(b"\n") == 3
    config.write_text(f'{config.read_text()}[[sinks]]\nkind = "log"\nname = "more"\npath = "/m"\n')
    several = mdnwatch_log("--config", config)
    assert several.stderr.decode() == f"mdnwatch: the configuration has several status logs, name one: {path}, /m\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--where", "sumary=failed"), '"sumary" is no key of an event (did you mean "summary"?)'),
        (("--since", "soon"), '"soon" is no time: write how long ago'),
    ],
)
def test_a_wrong_question_is_a_wrong_command_line(path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = mdnwatch_log(path, *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert words in done.stderr.decode()


def test_a_log_that_cannot_be_read_is_told_with_the_way_out(path: Path) -> None:
    missing = mdnwatch_log(path.with_name("gone"))
    assert (missing.returncode, missing.stdout) == (1, b"")
    assert b"no such file: either nothing was told yet, or logrotate has moved it" in missing.stderr
    directory = mdnwatch_log(path.parent)
    assert directory.stderr.decode() == f"mdnwatch: {path.parent}: Is a directory\n"


@contextlib.contextmanager
def following(*arguments: str | Path, out: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """`mdnwatch log --follow`, which has to end well at Ctrl-C."""
    stdout = subprocess.PIPE if out is None else out
    with subprocess.Popen([COMMAND, "log", "--follow", *arguments], stdout=stdout, stderr=subprocess.PIPE) as process:
        # A test that waits for a line must not wait for ever.
        limit = threading.Timer(PATIENCE_SECONDS, process.kill)
        limit.start()
        try:
            yield process
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_SECONDS) == 0
            assert process.stderr is not None
            assert process.stderr.read() == b""
        finally:
            limit.cancel()
            process.kill()


def add(path: Path, number: int) -> bytes:
    with path.open("ab") as file:
        file.write(line(event(number)))
    return line(event(number))


def test_following_goes_on_through_rotation(path: Path) -> None:
    with following(path, "--json", "--where", "type=recipient.*") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["data"]["id"] == "evt_1"
        assert json.loads(process.stdout.readline())["data"]["id"] == "evt_2"
        assert add(path, 3) == process.stdout.readline()
        path.rename(path.with_name("events.jsonl.1"))
        assert add(path, 4) == process.stdout.readline()
        assert add(path, 5) == process.stdout.readline()
        # As copytruncate does it: known by the file that became shorter, which one line more does not hide.
        path.write_bytes(b"")
        assert add(path, 6) == process.stdout.readline()


def test_on_a_terminal_lines_are_coloured_and_fit(path: Path) -> None:
    reading, writing = pty.openpty()
    os.set_blocking(reading, False)
    seen = b""

    def all_of_it() -> bool:
        nonlocal seen
        with contextlib.suppress(BlockingIOError):
            seen += os.read(reading, 65536)
        return seen.count(b"\n") == 3

    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "90", "LANG": "C.UTF-8"}
    with subprocess.Popen(
        [COMMAND, "log", path], stdout=writing, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        until(all_of_it, lambda: seen)
        assert process.wait(PATIENCE_SECONDS) == 0
    os.close(reading)
    os.close(writing)
    text = seen.decode()
    assert "\x1b[1;31mfailed" in text
    assert "\x1b[1;32mdisplayed" in text
    plain = [part for part in text.replace("\r", "").split("\n") if part]
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", part)) <= 90 for part in plain)
