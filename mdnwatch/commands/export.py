"""`mdnwatch export`: a case file of one message, or a table of recipients and states."""

from __future__ import annotations

import io
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app

if TYPE_CHECKING:
    from mdnwatch.config import Config


@app.command(name="export")
def export(  # noqa: PLR0913 - the options of a command
    message_id: Annotated[str | None, typer.Argument(metavar="[MESSAGE-ID]", help="Of a case file.")] = None,
    *,
    case: Annotated[
        Path | None, typer.Option("--case", metavar="FILE", help="Write a case file: HTML, and JSON in FILE.json.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table: one row for each recipient.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help='Of what was sent since then: "30d", "2026-11-01".')
    ] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="NAME", help="Of one account.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Hand over what is known: a case file of one message, or a table of all recipients and states."""
    from mdnwatch.config import load

    if as_csv == (case is not None):
        raise typer.BadParameter("say either --case FILE, with a Message-ID, or --csv")
    if as_csv:
        if message_id is not None:
            raise typer.BadParameter("--csv is of all messages: leave out the Message-ID")
        _table(load(config), since, account)
    elif case is not None:
        if message_id is None or since is not None or account is not None:
            raise typer.BadParameter("--case is of one message: name its Message-ID, and neither --since nor --account")
        _case(load(config), message_id, case, force=force)


def _case(config: Config, message_id: str, page: Path, *, force: bool) -> None:
    from mdnwatch import case_file, explain_ask

    now = datetime.now(UTC)
    made = case_file.made(explain_ask.whole(message_id, config, now), page, now)
    made.write(force=force)
    typer.echo(f"{made.page}\n{made.data}")


def _table(config: Config, since: str | None, account: str | None) -> None:
    from mdnwatch import status_log, table
    from mdnwatch.model.stored import to_ms

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        moment = None if since is None else to_ms(status_log.moment(since, datetime.now(UTC)))
        of_account = table.account_of(config, account)
    except (status_log.WrongQuestion, ValueError) as error:
        raise typer.BadParameter(str(error)) from None
    # RFC 4180 has lines end with CRLF, whatever the system; and a file is UTF-8, whatever the terminal.
    out = io.TextIOWrapper(sys.stdout.buffer, "utf-8", errors="replace", newline="", write_through=True)
    table.write(table.pages(config, moment, of_account), out)
    out.detach()
