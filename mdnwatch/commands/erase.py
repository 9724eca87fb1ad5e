"""`mdnwatch erase`: what is known of a person or of a message goes, and stays unknown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app, in_loop


@app.command(name="erase")
def erase(
    what: Annotated[
        str, typer.Argument(metavar="ADDRESS | MESSAGE-ID", help="An id that is not known, in angle brackets.")
    ],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, for programs.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Erase what is known of an address, in all messages, or of a message; no scan of the mail brings it back."""
    from mdnwatch import eraser
    from mdnwatch.config import load
    from mdnwatch.dialogue import Dialogue

    loaded, now = load(config), partial(datetime.now, UTC)

    def tell(answer: eraser.Answer) -> None:
        for line in [json.dumps(answer, ensure_ascii=False)] if as_json else eraser.lines(answer):
            typer.echo(line)

    if dry_run or not yes:
        looked = in_loop(eraser.erase(loaded, what, now, dry_run=True))
        if dry_run or not as_json:
            tell(looked)
    if dry_run or not (yes or Dialogue().confirm("Erase it, for good?", "--yes", default=False)):
        return
    tell(in_loop(eraser.erase(loaded, what, now, dry_run=False)))
