"""`mdnwatch log`: the status log, for people and for programs."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app


@app.command(name="log")
def show_log(  # noqa: PLR0913 - one parameter for each option
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help='A status log, or "-"; default: that of the configuration.')
    ] = None,
    *,
    following: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help='Events since then: "2h", "3d", "2026-11-23".')
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="KEY=VALUE", help="Events of which this holds; several: all of them."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they are, for programs.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Show the events of the status log, one a line."""
    from datetime import UTC, datetime

    from mdnwatch import status_log
    from mdnwatch.config import load

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        wanted = status_log.question(since, where or [], datetime.now(UTC))
    except status_log.WrongQuestion as error:
        raise typer.BadParameter(str(error)) from None
    path = status_log.path_of(load(config)) if file is None else Path("/dev/stdin" if file == "-" else file)
    status_log.run(
        path,
        wanted,
        following=following,
        as_json=as_json,
        now=lambda: datetime.now(UTC),
        out=sys.stdout,
        err=sys.stderr,
    )
