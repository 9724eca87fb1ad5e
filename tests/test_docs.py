"""The documentation holds what the code has: every key, every command."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel

import mdnwatch.cli
import mdnwatch.sinks
import mdnwatch.sources
from mdnwatch.commands.app import app
from mdnwatch.config import Config, LogSettings, MetricsSettings, StampSettings, build, kinds, module_of
from mdnwatch.errors import Cause
from mdnwatch.model.authenticity import REASONS, Grade
from mdnwatch.model.event_type import EventType
from mdnwatch.model.evidence import Kind
from mdnwatch.model.reasons import Reason
from mdnwatch.model.state import Delivery, Reading
from mdnwatch.oauth_settings import OAuthSettings
from mdnwatch.smtp_client import SmtpSettings

ROOT = Path(__file__).parent.parent
EXAMPLE = (ROOT / "config.example.toml").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
SOURCES = [path.read_text("utf-8") for path in (ROOT / "mdnwatch").rglob("*.py")]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")

# A setting that stands there as a comment: `# port = 993`.
COMMENTED = re.compile(r"^# ([a-z_]+ = .+)$", re.MULTILINE)


def example_tables() -> Iterator[tuple[str, str]]:
    """Each part of the example that is about one table: its kind ("" for the top, else as "[log]") and its text."""
    top, *tables = re.split(r"^(?=\[)", EXAMPLE, flags=re.MULTILINE)
    yield "", top
    for table in tables:
        kind = re.search(r'^(?:# )?kind = "(.*)"', table, re.MULTILINE)
        yield kind[1] if kind else table.split("\n", 1)[0], table


def all_models() -> Iterator[tuple[str, type[BaseModel]]]:
    yield "", Config
    yield "[log]", LogSettings
    yield "[metrics]", MetricsSettings
    yield "[stamp]", StampSettings
    yield "[accounts.smtp]", SmtpSettings
    yield "[accounts.oauth]", OAuthSettings
    for package in (mdnwatch.sources, mdnwatch.sinks):
        for kind in kinds(package):
            yield kind, module_of(package, kind).SETTINGS


MODELS = dict(all_models())
# What the example shows though it has no default: it would need a file, a secret, or another key.
CHOICES = (
    "runtime_dir", "listen", "return_address", "tls_ca", "backfill", "headers", "bearer", "client_cert", "client_key",
    "proxy", "proxy_username", "proxy_password", "own_mtas", "authserv_ids", "smime_trust", "min_grade",
    "accounts", "references", "domains", "environment", "digest", "zone", "keep", "client_secret",
)  # fmt: skip
# Tables of their own in the file.
TABLES = {"accounts", "sinks", "log", "metrics", "smtp", "stamp", "oauth"}


@pytest.mark.parametrize("kind", MODELS)
def test_every_key_is_in_the_example(kind: str) -> None:
    text = dict(example_tables())[kind]
    missing = [key for key in MODELS[kind].model_fields if not re.search(rf"^(# )?{key} = ", text, re.MULTILINE)]
    assert [key for key in missing if key not in TABLES] == []


def test_the_example_is_a_configuration() -> None:
    config = build(tomllib.loads(EXAMPLE), {})
    assert [account.kind for account in config.accounts] == ["imap", "imap", "maildir"]


def test_what_the_example_names_as_a_default_is_one() -> None:
    shown = COMMENTED.sub(r"\1", EXAMPLE)
    # These are examples of a choice, since there is no default to show.
    for choice in CHOICES:
        shown = re.sub(rf"^{choice} = .*$", "", shown, flags=re.MULTILINE)
    assert build(tomllib.loads(shown), {}) == build(tomllib.loads(EXAMPLE), {})


def test_every_key_says_what_it_is_for() -> None:
    bare = [(kind, key) for kind, model in MODELS.items() for key, field in model.model_fields.items()
            if not field.description and key not in TABLES | {"kind"}]  # fmt: skip
    assert bare == []


GROUP = typer.main.get_group(app)


def options_of(command: Any) -> set[str]:  # noqa: ANN401 - typer's own copy of click has no public name
    """The long options of a command, and of those below it (`sent add`)."""
    own = {option for one in command.params for option in one.opts if option.startswith("--")}
    return own.union(*(options_of(below) for below in getattr(command, "commands", {}).values()))


OPTIONS = {name: options_of(command) for name, command in GROUP.commands.items()}
# What stands in code: a line of a shell, or words between backquotes.
CODE = [*re.findall(r"`([^`\n]+)`", README), *(line.partition(" # ")[0] for line in README.splitlines())]
CALLS = [match for code in CODE for match in re.findall(r"(?:^|[ /])mdnwatch ([a-z][a-z-]*)([^|&;]*)", code)]


@pytest.mark.parametrize("command", GROUP.commands)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"mdnwatch {command}" in README


@pytest.mark.parametrize("command", OPTIONS)
def test_every_option_of_a_command_is_in_the_readme(command: str) -> None:
    assert {option for option in OPTIONS[command] if option not in README} == set()


def test_every_command_and_option_that_the_readme_calls_exists() -> None:
    called = [(name, rest) for name, rest in CALLS if name in OPTIONS]
    assert {name for name, _ in called} == set(OPTIONS)
    wrong = [
        (name, option)
        for name, rest in called
        for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", rest)
        if option not in OPTIONS[name]
    ]
    assert wrong == []
    shells = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    commands = re.findall(r"^(?:\S*/)?mdnwatch ([a-z-]+)", "\n".join(shells), re.MULTILINE)
    assert set(commands) <= set(OPTIONS)


def test_every_grade_and_reason_is_in_the_readme() -> None:
    assert [code for code in (*Grade, *REASONS) if f"`{code}`" not in README] == []


def test_the_changelog_has_a_place_for_what_comes() -> None:
    assert "\n## [Unreleased]\n" in CHANGELOG


EVENTS = {event.value for event in EventType}
NAME_OF_EVENT = r"`((?:recipient|message|report|source|sink)\.[a-z_]+)`"


def test_every_event_that_the_readme_names_exists() -> None:
    assert set(re.findall(NAME_OF_EVENT, README)) <= EVENTS


@pytest.mark.parametrize("event", EventType)
def test_an_event_stands_in_the_readmes_table_where_the_code_tells_it(event: EventType) -> None:
    rows = [line.split("|")[1] for line in README.splitlines() if re.match(rf"\| {NAME_OF_EVENT}", line)]
    documented = event.value in re.findall(NAME_OF_EVENT, " ".join(rows))
    assert documented == is_told(event)


def is_told(event: EventType) -> bool:
    """Whether some code makes such an event: those about a recipient are named after the kind of evidence."""
    area, _, kind = event.value.partition(".")
    return any(f"EventType.{event.name}" in code for code in SOURCES) or (area == "recipient" and kind in set(Kind))


WORDS = [*(word.name.lower() for word in (*Delivery, *Reading)), *Reason]


@pytest.mark.parametrize("word", dict.fromkeys(WORDS))
def test_every_word_of_a_state_or_a_reason_is_in_the_readme(word: str) -> None:
    assert f"`{word}`" in README


def test_every_cause_of_an_outage_is_in_the_readme() -> None:
    assert [cause.value for cause in Cause if f"`{cause.value}`" not in README] == []


def test_the_licence_is_the_gpl() -> None:
    assert (ROOT / "LICENSE").read_text("utf-8").split() [:7] == [
        "GNU", "GENERAL", "PUBLIC", "LICENSE", "Version", "3,", "29"
    ]  # fmt: skip
