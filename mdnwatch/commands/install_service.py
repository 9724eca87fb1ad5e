"""`mdnwatch install-service`: the files by which systemd knows mdnwatch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdnwatch.commands.app import app


@app.command(name="install-service")
def install_service(
    *,
    user: Annotated[bool, typer.Option("--user", help="A service of yours, for your own mail.")] = False,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", help="Write below this directory, for a package.")
    ] = None,
    program: Annotated[
        Path | None, typer.Option("--program", metavar="FILE", help="What the service starts; default: this mdnwatch.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that differ.")] = False,
) -> None:
    """Write the systemd unit and what belongs to it, and say what comes next."""
    from mdnwatch.install_service import Order, run

    for line in run(Order(user, root, program, force)):
        typer.echo(line)
