"""`mdnwatch events`: what was told, for a receiver that was away."""

from __future__ import annotations

import json
import signal
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app


@app.command(name="events")
def show_events(
    *,
    since: Annotated[
        int, typer.Option("--since", metavar="CURSOR", min=0, help="The cursor of the last event that is known.")
    ] = 0,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="No more than so many.")] = None,
    following: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Print events in the order in which they were told, one JSON object a line, each with its cursor."""
    from mdnwatch import feed
    from mdnwatch.config import load

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    loaded = load(config)
    left = limit
    for found in feed.pages(loaded.socket, loaded.state_dir, since, following=following):
        for one in found["events"][:left]:
            typer.echo(json.dumps(one, ensure_ascii=False, separators=(",", ":")))
        if left is not None and (left := left - len(found["events"])) <= 0:
            return
