"""`mdnwatch check-config`: every problem of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, EXIT_FAILURE, app, in_loop


@app.command(name="check-config")
def check_config(
    file: Annotated[Path, typer.Argument(metavar="FILE", envvar="MDNWATCH_CONFIG")] = DEFAULT_CONFIG,
    *,
    connect: Annotated[bool, typer.Option("--connect", help="Log in too, and say what each server can do.")] = False,
) -> None:
    """Name every problem of a configuration, with its place and the way out."""
    from mdnwatch import check

    config = check.readable(file)
    for line in check.summary(config, file):
        typer.echo(line)
    if connect:
        ok, lines = in_loop(check.connected(config))
        typer.echo("\n".join(lines))
        raise typer.Exit(0 if ok else EXIT_FAILURE)
