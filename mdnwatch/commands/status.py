"""`mdnwatch status`: what is known."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app


@app.command(name="status")
def show_status(
    query: Annotated[
        str | None, typer.Argument(metavar="[MESSAGE-ID | ADDRESS]", help="Of which message, or of whom.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Tell what is known: of everything in short, or of one message or address in full."""
    from datetime import UTC, datetime

    from mdnwatch import local_api, status, status_lines
    from mdnwatch.config import load

    loaded = load(config)
    facts = local_api.ask(loaded.socket, {"command": "status", "query": query})
    if facts is None:
        typer.echo("mdnwatch: the daemon is not running; this is what its database holds", err=True)
        facts = status.stored(loaded.state_dir, query)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
    else:
        status_lines.show(facts, datetime.now(UTC), sys.stdout)
