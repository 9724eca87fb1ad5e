"""`mdnwatch sinks`: whom events are told, whether that works, and how to switch one on again."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, EXIT_FAILURE, ConfigFile, app, in_loop

sinks = typer.Typer(help="Whom events are told.", no_args_is_help=True)
app.add_typer(sinks, name="sinks")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The sink, by its name in the configuration.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


@sinks.command(name="list")
def show_list(*, as_json: AsJson = False, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """List the sinks: how they are, what they get, and the public keys of their signatures."""
    from mdnwatch import deliveries
    from mdnwatch.config import load

    found = in_loop(deliveries.ask(load(config), {"command": "sinks list"}))["sinks"]
    for line in map(json.dumps, found) if as_json else deliveries.sink_lines(found):
        typer.echo(line)


@sinks.command(name="test")
def send_test(name: Name, *, as_json: AsJson = False, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Send a test event (type test.ping, signed like any), once, and say what came of it."""
    from mdnwatch import deliveries
    from mdnwatch.config import load

    answer = in_loop(deliveries.ask(load(config), {"command": "sinks test", "sink": name}))
    status = f", HTTP {answer['status']}" if answer["status"] else ""
    cause = f": {answer['cause']}" if answer["cause"] else ""
    typer.echo(json.dumps(answer) if as_json else f"{answer['id']}: {answer['verdict']}{status}{cause}")
    if not deliveries.is_delivered(answer):
        raise typer.Exit(EXIT_FAILURE)


@sinks.command(name="enable")
def enable(name: Name, *, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Try an endpoint again that is down, or that has asked never to be called again (410)."""
    from mdnwatch import deliveries
    from mdnwatch.config import load

    answer = in_loop(deliveries.ask(load(config), {"command": "sinks enable", "sink": name}))
    typer.echo(f"{name}: " + ("tried again now" if answer["was_down"] else "was not down"))
