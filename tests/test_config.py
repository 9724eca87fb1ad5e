from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

import mdnwatch.sinks
import mdnwatch.sources
from mdnwatch.config import Config, build, kinds, load, secret_problems, secrets, warnings
from mdnwatch.errors import ConfigError
from mdnwatch.model.authenticity import Grade
from mdnwatch.problems import written

BAD = Path(__file__).parent / "bad_configs"
NOWHERE: Mapping[str, str] = {}

SMALL = """
state_dir = "/srv/mdnwatch"

[[accounts]]
name = "sales"
host = "imap.example.org"
username = "sales@example.org"
password = "hunter2"
"""


def from_text(text: str, environ: Mapping[str, str] = NOWHERE) -> Config:
    return build(tomllib.loads(text), environ)


def problems_of(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, NOWHERE)
    return caught.value.problems


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.toml")))
def test_every_problem_is_named_with_its_place_and_the_way_out(name: str) -> None:
    path = BAD / f"{name}.toml"
    told = "".join(f"{problem}\n" for problem in problems_of(path)).replace(str(path), "FILE")
    assert told == path.with_suffix(".txt").read_text("utf-8")
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file; config.example.toml shows what to write"),
        (b'name = "caf\xe9"\n', "is not UTF-8 (byte 11): save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(content: bytes | None, words: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "c.toml").write_bytes(content)
    assert problems_of(tmp_path / "c.toml") == [f"{tmp_path / 'c.toml'}: {words}"]


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == [f"{tmp_path}: Is a directory"]


def test_three_lines_for_an_account_are_enough(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(SMALL)
    config = load(tmp_path / "c.toml", NOWHERE)
    (account,) = config.accounts
    assert (account.name, account.kind, account.addresses) == ("sales", "imap", ("sales@example.org",))
    assert config.state_dir == config.runtime_dir == Path("/srv/mdnwatch")
    assert config.socket == Path("/srv/mdnwatch/mdnwatch.sock")
    assert (config.sinks, config.announce_backfill, config.min_grade) == ((), False, Grade.DOUBTFUL)
    assert (config.wait_for_sent, config.max_waiting) == (timedelta(days=30), 10_000)
    assert (config.log.level, config.log.format) == ("info", "auto")


def test_values_that_are_given_are_taken() -> None:
    config = from_text(
        'min_grade = "authenticated"\nannounce_backfill = true\nwait_for_sent = "2d"\nmax_waiting = 5\n'
        'runtime_dir = "/srv/run"\nlog = { level = "debug", format = "json" }\n' + SMALL
    )
    assert config.min_grade is Grade.AUTHENTICATED
    assert config.announce_backfill is True
    assert (config.wait_for_sent, config.max_waiting) == (timedelta(days=2), 5)
    assert config.socket == Path("/srv/run/mdnwatch.sock")
    assert (config.log.level, config.log.format) == ("debug", "json")


def test_systemd_names_the_directories_and_the_file_wins() -> None:
    environ = {"STATE_DIRECTORY": "/var/lib/x:/var/lib/y", "RUNTIME_DIRECTORY": "/run/x"}
    by_systemd = from_text(SMALL.replace('state_dir = "/srv/mdnwatch"', ""), environ)
    assert (by_systemd.state_dir, by_systemd.runtime_dir) == (Path("/var/lib/x"), Path("/run/x"))
    by_file = from_text('runtime_dir = "/srv/run"\n' + SMALL, environ)
    assert (by_file.state_dir, by_file.runtime_dir) == (Path("/srv/mdnwatch"), Path("/srv/run"))


def test_a_command_at_a_terminal_finds_the_socket_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mdnwatch.config.SYSTEM_STATE", tmp_path / "lib")
    monkeypatch.setattr("mdnwatch.config.SYSTEM_RUNTIME", tmp_path / "run")
    text = SMALL.replace("/srv/mdnwatch", str(tmp_path / "lib" / "mdnwatch"))
    assert from_text(text).runtime_dir == tmp_path / "lib" / "mdnwatch"
    (tmp_path / "run" / "mdnwatch").mkdir(parents=True)
    assert from_text(text).runtime_dir == tmp_path / "run" / "mdnwatch"
    assert from_text(SMALL).runtime_dir == Path("/srv/mdnwatch")


def test_configurations_that_say_the_same_are_equal() -> None:
    assert from_text(SMALL) == from_text("announce_backfill = false\n" + SMALL + 'kind = "imap"\nport = 993\n')
    assert from_text(SMALL) != from_text(SMALL.replace("hunter2", "hunter3"))


def test_a_kind_is_a_module_and_helpers_beside_it_are_none() -> None:
    assert kinds(mdnwatch.sources) == ["imap", "maildir"]
    assert {"log", "webhook"} <= {*kinds(mdnwatch.sinks)}
    assert {"base", "log_file"}.isdisjoint(kinds(mdnwatch.sinks))


SECRETS = (
    SMALL.replace('"hunter2"', '{ file = "FILE" }')
    + """
[[sinks]]
kind = "webhook"
name = "crm"
url = "https://crm.example.org/"
secrets = ["whsec_bm90LXNvLXJhbmRvbS1ieXRlcy1oZXJlLTEyMzQ1", { env = "NOT_SET_AT_ALL" }]
"""
)


def test_secrets_are_found_wherever_they_stand() -> None:
    places = [written(place) for place, _ in secrets(from_text(SECRETS))]
    assert places == ["accounts[0].password", "sinks[0].secrets[0]", "sinks[0].secrets[1]"]


def test_secrets_that_cannot_be_read_are_no_matter_until_they_are_tried() -> None:
    assert secret_problems(from_text(SECRETS)) == [
        "accounts[0].password: secret file FILE: No such file or directory",
        "sinks[0].secrets[1]: environment variable NOT_SET_AT_ALL is not set",
    ]


def test_authorities_that_are_not_there_are_warned_of(tmp_path: Path) -> None:
    path, authorities = tmp_path / "c.toml", tmp_path / "ca.pem"
    account = f'name = "app"\nkind = "maildir"\npath = "/m"\naddresses = ["a@b.example"]\nsmime_trust = "{authorities}"'
    path.write_text(f'state_dir = "{tmp_path}"\n[[accounts]]\n{account}\n')
    (told,) = warnings(load(path, NOWHERE), path)
    assert told.startswith(f"accounts[0].smime_trust: {authorities} is no file")
    authorities.touch()
    assert warnings(load(path, NOWHERE), path) == []


def test_secrets_that_everybody_can_read_are_warned_of(tmp_path: Path) -> None:
    path, secret_file = tmp_path / "c.toml", tmp_path / "password"
    path.write_text(SECRETS.replace("FILE", str(secret_file)))
    secret_file.write_text("hunter2\n")
    path.chmod(0o644)
    secret_file.chmod(0o644)
    told = warnings(load(path, NOWHERE), path)
    assert [warning.split(":")[0] for warning in told] == [str(path), "accounts[0].password"]
    assert "can read sinks[0].secrets[0]: keep them elsewhere" in told[0]
    assert f"chmod o= {secret_file}" in told[1]
    path.chmod(0o640)
    secret_file.chmod(0o600)
    assert warnings(load(path, NOWHERE), path) == []
