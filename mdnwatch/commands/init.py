"""`mdnwatch init`: a few questions, and a configuration that works."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mdnwatch.commands.app import app, in_loop


@app.command(name="init")
def init_config(  # noqa: PLR0913 - one parameter for each option
    *,
    address: Annotated[str | None, typer.Option("--address", metavar="ADDRESS", help="Whose mail is watched.")] = None,
    server: Annotated[
        str | None, typer.Option("--server", metavar="HOST[:PORT]", help="The IMAP server; default: found by DNS.")
    ] = None,
    tls: Annotated[
        str | None, typer.Option("--tls", metavar="KIND", help="implicit, starttls, or none (to this machine only).")
    ] = None,
    tls_ca: Annotated[
        Path | None, typer.Option("--tls-ca", metavar="FILE", help="Authorities to trust in place of the system's.")
    ] = None,
    username: Annotated[
        str | None, typer.Option("--username", metavar="NAME", help="Login name; default: the address.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="FILE", help="Where the password is kept already.")
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Take the first line of standard input for the password.")
    ] = False,
    webhook: Annotated[
        str | None, typer.Option("--webhook", metavar="URL", help='Where events are POSTed to; "": nowhere.')
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="The webhook may be in a private network, and plain http.")
    ] = False,
    state_dir: Annotated[Path | None, typer.Option("--state-dir", metavar="DIR", help="Where data is kept.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="The configuration; secrets go beside it.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
    dns: Annotated[
        str | None, typer.Option("--dns", metavar="ADDRESS[:PORT]", help="Ask this DNS server, not the system's.")
    ] = None,
    watch: Annotated[
        bool | None, typer.Option("--run/--no-run", help="Run until the first event, or do not; default: ask.")
    ] = None,
) -> None:
    """Ask a few questions, try the server out, and write a configuration that works."""
    from mdnwatch import first_event, init
    from mdnwatch.dialogue import Dialogue

    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    given = init.Given(
        address=address, server=server, tls=tls, tls_ca=tls_ca, username=username, password_file=password_file,
        password=password, webhook=webhook, allow_private=allow_private, state_dir=state_dir, output=output,
        force=force, dns=dns,
    )  # fmt: skip
    talk = Dialogue()
    path = init.run(given, talk)
    if first_event.is_wanted(talk) if watch is None else watch:
        in_loop(first_event.show(path, talk))
