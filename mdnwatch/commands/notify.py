"""`mdnwatch notify`: what is told, on the desktop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdnwatch.commands.app import app, in_loop

if TYPE_CHECKING:
    from mdnwatch.notices import Quiet


@app.command(name="notify")
def notify(
    *,
    socket: Annotated[
        Path | None, typer.Option("--socket", metavar="FILE", help="Of the daemon; default: the machine's, or yours.")
    ] = None,
    events: Annotated[
        list[str] | None, typer.Option("--events", metavar="PATTERN", help='What is shown, as "recipient.*".')
    ] = None,
    quiet: Annotated[
        str | None, typer.Option("--quiet", metavar="HH:MM-HH:MM", help="Hours in which nothing is shown.")
    ] = None,
    per_minute: Annotated[
        int, typer.Option("--per-minute", metavar="N", min=1, help="No more than so many; the rest is summed up.")
    ] = 6,
    opener: Annotated[
        str, typer.Option("--opener", metavar="PROGRAM", help="Shows the details when a notification is clicked.")
    ] = "xdg-open",
) -> None:
    """Show what the daemon tells as notifications of the desktop, until the session ends."""
    from datetime import datetime

    from mdnwatch import notify as notifier

    options = notifier.Options(
        socket=socket or notifier.default_socket(),
        events=tuple(events or ["*"]),
        per_minute=per_minute,
        quiet=None if quiet is None else _quiet(quiet),
        opener=opener,
    )

    def tell(line: str) -> None:
        typer.echo(f"mdnwatch: {line}", err=True)

    in_loop(notifier.run(options, tell, lambda: datetime.now().astimezone()))


def _quiet(text: str) -> Quiet:
    from datetime import time

    from mdnwatch.notices import Quiet

    begin, _, end = text.partition("-")
    try:
        return Quiet(time.fromisoformat(begin), time.fromisoformat(end))
    except ValueError:
        raise typer.BadParameter(f'{text!r}: write hours like "22:00-07:00"', param_hint="--quiet") from None
