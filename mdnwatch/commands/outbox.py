"""`mdnwatch outbox`: what waits to be told, and what was given up."""

from __future__ import annotations

import json
import signal
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app, in_loop

outbox = typer.Typer(help="What waits to be told, and what was given up.", no_args_is_help=True)
app.add_typer(outbox, name="outbox")

OfSink = Annotated[str | None, typer.Option("--sink", metavar="NAME", help="Only of this sink.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


@outbox.command(name="list")
def show_list(
    *,
    sink: OfSink = None,
    state: Annotated[str, typer.Option("--state", help="unfinished, given_up, delivered or all.")] = "unfinished",
    as_json: AsJson = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """List notifications, the oldest first."""
    from mdnwatch import deliveries
    from mdnwatch.config import load

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    question = {"command": "outbox list", "sink": sink, "state": state}
    for page in in_loop(deliveries.pages(load(config), question)):
        found = page["notifications"]
        for line in map(_json, found) if as_json else deliveries.lines(found):
            typer.echo(line)


@outbox.command(name="show")
def show_one(
    name: Annotated[str, typer.Argument(metavar="NUMBER | EVENT-ID", help="As `list` names it.")],
    *,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Print all about one notification, or about those of an event, as JSON."""
    from mdnwatch import deliveries
    from mdnwatch.config import load

    answer = in_loop(deliveries.ask(load(config), {"command": "outbox show", "id": name}))
    for one in answer["notifications"]:
        typer.echo(json.dumps(one, indent=2, ensure_ascii=False))


Numbers = Annotated[list[int] | None, typer.Argument(metavar="[NUMBER]...", help="As `list` names them.")]


@outbox.command(name="retry")
def retry(
    numbers: Numbers = None,
    *,
    sink: OfSink = None,
    everything: Annotated[bool, typer.Option("--all", help="Of all sinks.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Try now, whatever the schedule says; what was given up is tried again, under its id."""
    _change("outbox retry", numbers, sink, config, everything=everything)


@outbox.command(name="drop")
def drop(
    numbers: Numbers = None,
    *,
    sink: OfSink = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Give notifications up, or all that wait for a sink, perhaps one that is no longer configured."""
    _change("outbox drop", numbers, sink, config, everything=False)


def _change(command: str, numbers: list[int] | None, sink: str | None, config: ConfigFile, *, everything: bool) -> None:
    from mdnwatch import deliveries
    from mdnwatch.config import load

    if sum([bool(numbers), sink is not None, everything]) != 1:
        raise typer.BadParameter("say which: by number, by --sink, or --all where there is such an option")
    question = {"command": command, "ids": numbers, "sink": sink}
    answers = in_loop(deliveries.pages(load(config), question))
    changed = sum(answer["changed"] for answer in answers)
    typer.echo(f"{changed} notification(s) {'due now' if command == 'outbox retry' else 'dropped'}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
