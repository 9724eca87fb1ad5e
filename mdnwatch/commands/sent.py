"""`mdnwatch sent`: messages that no Sent folder holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app, in_loop

sent = typer.Typer(help="Messages that no Sent folder holds.", no_args_is_help=True)
app.add_typer(sent, name="sent")


@sent.command(name="add")
def add(  # noqa: PLR0913 - the options of a command
    file: Annotated[
        Path, typer.Argument(metavar="[FILE]", help='The message as it was sent, or JSON; "-": standard input.')
    ] = Path("-"),
    *,
    reference: Annotated[str | None, typer.Option("--reference", help="Your word for it, in every event.")] = None,
    metadata: Annotated[
        str | None, typer.Option("--metadata", metavar="JSON", help="An object of yours, in every event.")
    ] = None,
    recipient: Annotated[
        list[str] | None, typer.Option("--recipient", metavar="ADDRESS", help="One more than the file names, as Bcc.")
    ] = None,
    envelope_id: Annotated[
        str | None, typer.Option("--envelope-id", metavar="ENVID", help="What MAIL FROM gave as ENVID.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="Whose mail it is, if the sender is no sign.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Tell of a sent message, so that reports about it find it: before sending, or whenever it is known."""
    from mdnwatch import registrar, registration
    from mdnwatch.config import load

    loaded = load(config)
    given = {
        "reference": reference,
        "metadata": registration.object_of(metadata),
        "recipients": recipient,
        "envelope_id": envelope_id,
        "account": account,
    }
    options = {key: value for key, value in given.items() if value is not None}
    messages = registration.read(registration.contents(file), loaded.accounts, options)
    answers = registrar.ask_to_add(loaded.socket, messages)
    if answers is None:
        answers = in_loop(registrar.add_directly(loaded, messages, partial(datetime.now, UTC)))
    for answer in answers:
        typer.echo(json.dumps(answer, ensure_ascii=False) if as_json else registrar.for_people(answer))
