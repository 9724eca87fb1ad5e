"""`mdnwatch recompute`: matches, grades and states anew, from what is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app, in_loop


@app.command(name="recompute")
def recompute(
    *,
    announce: Annotated[bool, typer.Option("--announce", help="Tell of what becomes known by it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Match, grade and fold again by the rules that hold now, while no daemon runs; for after an upgrade."""
    from mdnwatch import recompute as work
    from mdnwatch.config import load

    changes = in_loop(work.run(load(config), datetime.now(UTC), announce=announce, dry_run=dry_run))
    for line in changes.lines():
        typer.echo(line)
