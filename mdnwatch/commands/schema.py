"""`mdnwatch schema`: what events look like, for those who receive them."""

from __future__ import annotations

from typing import Annotated

import typer

from mdnwatch.commands.app import app


@app.command(name="schema")
def show_schema(
    event: Annotated[str | None, typer.Argument(metavar="[EVENT]", help='As "recipient.failed".')] = None,
) -> None:
    """Print the JSON Schema of a type of event; without one, name the types that there are."""
    from mdnwatch import event_schema

    typer.echo("\n".join(event_schema.types()) if event is None else event_schema.shipped(event).rstrip("\n"))
