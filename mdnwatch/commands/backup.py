"""`mdnwatch backup` and `mdnwatch restore`: a copy of what is known, and its way back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app

Copy = Annotated[Path, typer.Argument(metavar="FILE", help="The copy: one file.")]


@app.command(name="backup")
def backup(
    file: Copy,
    *,
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Make a consistent copy of the database, also while the daemon runs."""
    from mdnwatch import backup as copies
    from mdnwatch.config import load

    for line in copies.make(load(config).state_dir, file, force=force):
        typer.echo(line)


@app.command(name="restore")
def restore(
    file: Copy,
    *,
    force: Annotated[bool, typer.Option("--force", help="Put the database that is there aside.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Put a copy in the place of the database, while no daemon runs."""
    from mdnwatch import backup as copies
    from mdnwatch.config import load

    for line in copies.restore(load(config).state_dir, file, datetime.now(UTC), force=force):
        typer.echo(line)
