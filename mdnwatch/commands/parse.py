"""`mdnwatch parse`: what messages report, without any configuration."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from mdnwatch.commands.app import app


@app.command(name="parse")
def parse_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help='Messages, Maildirs, or "-": standard input.')],
    *,
    mbox: Annotated[
        bool, typer.Option("--mbox", help="Split each file at its From lines, as FILE#1, FILE#2, …")
    ] = False,
) -> None:
    """Print what messages report, one JSON object a line; needs no configuration."""
    from mdnwatch import parse

    # A filter ends quietly when its reader does (`| head`).
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    raise typer.Exit(parse.run(files, sys.stdout, sys.stderr, mbox=mbox))
