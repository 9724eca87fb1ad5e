from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mdnwatch import settings
from mdnwatch.errors import ConfigError
from mdnwatch.settings import Backfill, Duration, MailAddress, Secret, Settings, Size


class Example(Settings):
    duration: Duration = timedelta(0)
    size: Size = 0
    address: MailAddress = "a@b"
    backfill: Backfill | None = None
    secret: Secret | None = None


def problem_of(**table: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(table)
    (fault,) = caught.value.errors()
    return str(fault["msg"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5min", 300), ("2h", 7200), ("30d", 2_592_000), ("250ms", 0.25), ("1.5 h", 5400), (" 1s ", 1)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert Example.model_validate({"duration": text}).duration.total_seconds() == seconds


@pytest.mark.parametrize("value", ["90", 90, "-1s", "1m", "5 minutes", "", "nans", "1e3s", True, ["1s"]])
def test_what_is_no_duration_is_told_how_to_write_one(value: object) -> None:
    assert 'write a number and a unit, like "90s"' in problem_of(duration=value)


def test_a_duration_beyond_all_time_is_refused() -> None:
    assert "longer than time can be counted" in problem_of(duration="9" * 30 + "d")


@pytest.mark.parametrize(("value", "size"), [("1MiB", 1024**2), ("64 KiB", 65536), ("10B", 10), (4096, 4096)])
def test_a_size_is_bytes_or_a_number_and_a_unit(value: object, size: int) -> None:
    assert Example.model_validate({"size": value}).size == size


@pytest.mark.parametrize("value", ["1MB", "1.5MiB", "-1KiB", True, 1.5])
def test_what_is_no_size_is_told_how_to_write_one(value: object) -> None:
    assert 'write a number and a unit, like "512KiB"' in problem_of(size=value)


def test_backfill_is_all_or_a_duration() -> None:
    assert Example.model_validate({"backfill": "all"}).backfill == "all"
    assert Example.model_validate({"backfill": "30d"}).backfill == timedelta(days=30)
    assert "is not a duration" in problem_of(backfill="everything")


@pytest.mark.parametrize("value", ["sales@example.org", "özil@bücher.example", '"a b"@example.org', "a+b@x"])
def test_an_address_is_plain(value: str) -> None:
    assert Example.model_validate({"address": value}).address == value


@pytest.mark.parametrize(
    "value", ["sales", "Sales <sales@example.org>", "a@b, c@d", "@example.org", "a@", "a b@c", "a@b@c"]
)
def test_what_is_no_plain_address_is_told_how_to_write_one(value: str) -> None:
    assert 'write it plainly, like "sales@example.org"' in problem_of(address=value)


def test_settings_do_not_change_and_compare_by_value() -> None:
    table: dict[str, Any] = {"duration": "1s", "secret": "hunter2"}
    one, same = Example.model_validate(table), Example.model_validate(table)
    assert one == same
    assert one != Example.model_validate({**table, "secret": "hunter3"})
    with pytest.raises(ValidationError):
        one.size = 5


def test_no_text_of_settings_or_of_their_faults_shows_a_secret() -> None:
    example = Example.model_validate({"secret": "hunter2"})
    assert "hunter2" not in f"{example!r} {example} {example.secret!r} {example.secret}"
    with pytest.raises(ValidationError) as caught:
        Example.model_validate({"secret": {"value": "hunter2", "file": "/x"}})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("table", [{}, {"env": "A", "file": "/x"}, {"value": "a", "credential": "b"}])
def test_a_secret_stands_in_one_place(table: dict[str, str]) -> None:
    assert "give the secret once" in problem_of(secret=table)


def read(value: object) -> str:
    return Secret.model_validate(value).read()


def test_a_secret_is_read_from_wherever_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sales").write_text("hunter2\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("SALES_PASSWORD", "hunter2")
    assert read("hunter2") == "hunter2"
    assert read({"file": str(tmp_path / "sales")}) == "hunter2"
    assert read({"credential": "sales"}) == "hunter2"
    assert read({"env": "SALES_PASSWORD"}) == "hunter2"
    assert read({"command": ["printf", "%s\\nnotes\\n", "hunter2"]}) == "hunter2"


def test_of_a_file_the_first_line_counts_with_its_blanks(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b" hunter 2 \r\nuser: anna\n")
    assert read({"file": str(tmp_path / "s")}) == " hunter 2 "


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"file": "/nowhere/at/all"}, "secret file /nowhere/at/all: No such file or directory"),
        ({"env": "NOT_SET_AT_ALL"}, "environment variable NOT_SET_AT_ALL is not set"),
        ({"credential": "x"}, "credential 'x': $CREDENTIALS_DIRECTORY is not set; run under systemd with "),
        ({"command": ["no-such-program"]}, "secret command 'no-such-program': no such program"),
        ({"command": ["/"]}, "secret command '/': Permission denied"),
        ({"command": ["sh", "-c", "echo hunter2; exit 3"]}, "secret command 'sh' failed (exit status 3)"),
        ({"command": ["true"]}, "secret command 'true' is empty"),
        ("", "the secret is empty"),
    ],
)
def test_a_secret_that_cannot_be_read_is_told_without_it(
    value: object, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError) as caught:
        read(value)
    assert str(caught.value).startswith(problem)
    assert "hunter2" not in str(caught.value)


def test_a_secret_command_that_hangs_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SECRET_COMMAND_SECONDS", 0.3)
    pid_file = tmp_path / "pid"
    with pytest.raises(ConfigError, match="gave no answer within"):
        read({"command": ["sh", "-c", f"sleep 600 & echo $! > {pid_file}; wait"]})
    child = Path(f"/proc/{pid_file.read_text().strip()}/stat")
    deadline = time.monotonic() + 10
    # It may linger as a zombie where nobody reaps orphans.
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)
