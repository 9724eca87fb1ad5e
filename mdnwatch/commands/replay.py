"""`mdnwatch replay`: tell past events again, under their ids."""

from __future__ import annotations

from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app, in_loop


@app.command(name="replay")
def replay(
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help='Events told since then: "2h", "3d", "2026-11-23".')
    ],
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="And before then.")] = None,
    sink: Annotated[str | None, typer.Option("--sink", metavar="NAME", help="Only to this sink.")] = None,
    events: Annotated[str, typer.Option("--events", metavar="PATTERN", help='Only these, as "recipient.*".')] = "*",
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Tell past events again, under the same ids, to the sinks that want them."""
    from datetime import UTC, datetime

    from mdnwatch import deliveries, status_log
    from mdnwatch.config import load
    from mdnwatch.model.stored import to_ms

    now = datetime.now(UTC)
    try:
        moments = [None if text is None else to_ms(status_log.moment(text, now)) for text in (since, until)]
    except status_log.WrongQuestion as error:
        raise typer.BadParameter(str(error)) from None
    question = {"command": "replay", "since": moments[0], "until": moments[1], "sink": sink, "events": events}
    queued = sum(answer["queued"] for answer in in_loop(deliveries.pages(load(config), question)))
    typer.echo(f"{queued} notification(s) queued")
