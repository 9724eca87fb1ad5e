"""`mdnwatch explain`: what is known, and how, in plain sentences."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app


@app.command(name="explain")
def explain_it(
    what: Annotated[
        str, typer.Argument(metavar="MESSAGE-ID | ADDRESS | FILE", help='A report_id, too; "-": standard input.')
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Tell in plain words what is known of a message, of mail to an address, or of a mail, and how it is known."""
    from datetime import UTC, datetime

    from mdnwatch import explain_ask
    from mdnwatch.config import load
    from mdnwatch.explanation import show, whole
    from mdnwatch.explanation.say import Clock

    now = datetime.now(UTC)
    clock = Clock(now)
    facts = explain_ask.facts(what, load(config), now)
    if as_json:
        typer.echo(json.dumps(whole.for_programs(facts, clock), ensure_ascii=False))
    else:
        show.show(whole.explain(facts, clock), sys.stdout)
