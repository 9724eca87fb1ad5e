"""`mdnwatch demo`: the whole way on this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdnwatch.commands.app import app, in_loop


@app.command(name="demo")
def show_demo(
    *,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live table, for pipes.")] = False,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Play in this new directory, and leave everything there."),
    ] = None,
) -> None:
    """Show the whole way from sent mail to signed webhook, on this machine alone, without any server."""
    from mdnwatch import demo

    in_loop(demo.run(plain=plain, keep=keep))
