"""What `check-config` tells: whether a configuration can be used, and with `connect` what its servers can do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import mdnwatch.sinks
import mdnwatch.sources
from mdnwatch.config import AccountSettings, Config, load, module_of, secret_problems, warnings
from mdnwatch.errors import ConfigError
from mdnwatch.sinks.base import Sink
from mdnwatch.sources.base import Checked
from mdnwatch.sources.logins import Logins


def readable(path: Path) -> Config:
    """The configuration of a file whose secrets can all be read too. Raises ConfigError with every problem."""
    config = load(path)
    if problems := secret_problems(config) or asyncio.run(_sink_problems(config)):
        raise ConfigError(problems)
    return config


async def _sink_problems(config: Config) -> list[str]:
    """What a sink finds in its secrets, once they are read."""
    problems = []
    for settings in config.sinks:
        try:
            sink: Sink = module_of(mdnwatch.sinks, settings.kind).build(settings, now=lambda: datetime.now(UTC))
        except ConfigError as error:
            problems += error.problems
        else:
            await sink.close()
    return problems


def summary(config: Config, path: Path) -> Iterator[str]:
    """The lines for a configuration that can be used."""
    for warning in warnings(config, path):
        yield f"warning: {warning}"
    yield f"{path}: can be used"
    for account in config.accounts:
        yield f"  account {account.name} ({account.kind})"
    for sink in config.sinks:
        yield f"  sink {sink.name} ({sink.kind})"
    if not config.sinks:
        yield "  no sink: what happens is kept and shown by `mdnwatch status`, and told nobody"


async def connected(config: Config) -> tuple[bool, list[str]]:
    """Log in to every account, as many at once as is polite: whether each can be read, and the lines to say."""
    logins = Logins(config.logins_per_second, config.connections_per_host)
    async with asyncio.TaskGroup() as group:
        checks = [group.create_task(_checked(account, config.state_dir, logins)) for account in config.accounts]
    found = [check.result() for check in checks]
    lines = []
    for account, checked in zip(config.accounts, found, strict=True):
        lines += [f"account {account.name}:", *(f"  {line}" for line in checked.lines)]
    return all(checked.ok for checked in found), lines


async def _checked(account: AccountSettings, state_dir: Path, logins: Logins) -> Checked:
    await logins.turn(getattr(account, "host", ""), asyncio.sleep)
    found: Checked = await module_of(mdnwatch.sources, account.kind).check(account, state_dir)
    return found
