"""`mdnwatch stamp`: what to send a message with, so that its reports prove who held it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app, in_loop


@app.command(name="stamp")
def stamp(  # noqa: PLR0913 - the options of a command
    *,
    sender: Annotated[str, typer.Option("--from", metavar="ADDRESS", help="The address in From.")],
    recipient: Annotated[list[str], typer.Option("--recipient", metavar="ADDRESS", help="As often as there are.")],
    each: Annotated[
        bool, typer.Option("--each", help="A stamp for each recipient, who gets a copy and transaction of their own.")
    ] = False,
    message_id: Annotated[
        str | None, typer.Option("--message-id", metavar="ID", help="Keep this one; it proves nothing then.")
    ] = None,
    reference: Annotated[str | None, typer.Option("--reference", help="Your word for it, in every event.")] = None,
    metadata: Annotated[
        str | None, typer.Option("--metadata", metavar="JSON", help="An object of yours, in every event.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="Whose mail it is, if the sender is no sign.")
    ] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Make another key first; older stamps stay good.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Make a Message-ID, ENVID and return address with a token, and register the message that is sent with them."""
    from mdnwatch import registrar, registration, stamps
    from mdnwatch.config import load

    loaded = load(config)
    given = {
        "from": sender,
        "recipients": recipient,
        "message_id": message_id,
        "reference": reference,
        "metadata": registration.object_of(metadata),
        "account": account,
        "each": each,
    }
    request = {key: value for key, value in given.items() if value is not None}
    found = registrar.ask_to_stamp(loaded.socket, request, with_new_key=new_key)
    if found is None:
        now = partial(datetime.now, UTC)
        found = in_loop(registrar.stamp_directly(loaded, request, now, with_new_key=new_key))
    lines = map(json.dumps, found) if as_json else map(stamps.for_people, found)
    typer.echo(("\n" if as_json else "\n\n").join(lines))
