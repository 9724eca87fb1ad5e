"""The documentation holds what the code has: every key, every command."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from pydantic import BaseModel

import mdnwatch.cli
import mdnwatch.sinks
import mdnwatch.sources
from mdnwatch.commands.app import app
from mdnwatch.config import Config, LogSettings, MetricsSettings, build, kinds, module_of
from mdnwatch.model.event_type import EventType
from mdnwatch.smtp_client import SmtpSettings

ROOT = Path(__file__).parent.parent
EXAMPLE = (ROOT / "config.example.toml").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
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
    yield "[accounts.smtp]", SmtpSettings
    for package in (mdnwatch.sources, mdnwatch.sinks):
        for kind in kinds(package):
            yield kind, module_of(package, kind).SETTINGS


MODELS = dict(all_models())
# What the example shows though it has no default: it would need a file, a secret, or another key.
CHOICES = (
    "runtime_dir", "listen", "tls_ca", "backfill", "headers", "bearer", "client_cert", "client_key",
    "proxy", "proxy_username", "proxy_password", "own_mtas", "authserv_ids", "smime_trust", "min_grade",
    "accounts", "references", "domains",
)  # fmt: skip
# Tables of their own in the file.
TABLES = {"accounts", "sinks", "log", "metrics", "smtp"}


@pytest.mark.parametrize("kind", MODELS)
def test_every_key_is_in_the_example(kind: str) -> None:
    text = dict(example_tables())[kind]
    missing = [key for key in MODELS[kind].model_fields if not re.search(rf"^(# )?{key} = ", text, re.MULTILINE)]
    assert [key for key in missing if key not in TABLES] == []


def test_the_example_is_a_configuration() -> None:
    config = build(tomllib.loads(EXAMPLE), {})
    assert [account.kind for account in config.accounts] == ["imap", "maildir"]


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


@pytest.mark.parametrize("command", [command.name for command in app.registered_commands if command.name] + ["run"])
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"mdnwatch {command}" in README


def test_every_option_of_a_command_is_in_the_readme() -> None:
    group = typer.main.get_group(app)
    options = {
        option
        for command in group.commands.values()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }
    assert {option for option in options if option not in README} == set()


def test_the_changelog_has_a_place_for_what_comes() -> None:
    assert "\n## [Unreleased]\n" in CHANGELOG


def test_every_event_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"`((?:recipient|message|report|source|sink)\.[a-z_]+)`", README))
    assert named <= {event.value for event in EventType}
    assert named


def test_the_licence_is_the_gpl() -> None:
    assert (ROOT / "LICENSE").read_text("utf-8").split() [:7] == [
        "GNU", "GENERAL", "PUBLIC", "LICENSE", "Version", "3,", "29"
    ]  # fmt: skip
