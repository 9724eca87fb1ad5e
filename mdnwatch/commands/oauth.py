"""`mdnwatch oauth`: logins at providers that give tokens in place of passwords."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app, in_loop

oauth = typer.Typer(help="Logins at providers that give tokens in place of passwords.", no_args_is_help=True)
app.add_typer(oauth, name="oauth")


@oauth.command(name="login")
def log_in(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its name in the configuration.")],
    *,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Where the browser comes back to; 0: any port.")
    ] = 0,
    opener: Annotated[
        str | None, typer.Option("--opener", metavar="PROGRAM", help="Opens the browser; default: xdg-open.")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Let the provider ask a person for consent, and give the tokens to the daemon, which keeps them fresh."""
    from mdnwatch import oauth_login
    from mdnwatch.config import load

    options = oauth_login.Options(port, opener)
    typer.echo(in_loop(oauth_login.login(load(config), account, options, typer.echo, partial(datetime.now, UTC))))
