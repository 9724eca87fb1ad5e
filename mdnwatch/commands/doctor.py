"""`mdnwatch doctor`: what is wrong with the accounts, and what to do."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, EXIT_FAILURE, ConfigFile, app, in_loop


@app.command(name="doctor")
def examine(
    accounts: Annotated[list[str] | None, typer.Argument(metavar="[ACCOUNT]...", help="Which; default: all.")] = None,
    *,
    send: Annotated[bool, typer.Option("--send", help="Send a message to oneself, and see when it arrives.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Look at each account from DNS to mail that arrives; exit status 1 when something is wrong."""
    from mdnwatch import doctor
    from mdnwatch.config import load

    write = (lambda _line: None) if as_json else typer.echo
    facts = in_loop(doctor.examine(load(config), accounts or [], doctor.teller(write), send=send))
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
    raise typer.Exit(0 if facts["ok"] else EXIT_FAILURE)
