"""The commands of mdnwatch; each hands over to the module that does the work, imported only then.

Exit status: 0 success; 1 failure, told on standard error; 2 a wrong command line; 78 a configuration that cannot
be used (EX_CONFIG of sysexits.h, which systemd shows by name).
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mdnwatch import __version__
from mdnwatch.errors import ConfigError, MdnwatchError

T = TypeVar("T")

EXIT_FAILURE = 1
EXIT_CONFIG = 78

app = typer.Typer(
    name="mdnwatch",
    help="Tells, per recipient, what became of sent mail: delivered, displayed, answered, and how that is known.",
    epilog=f"Exit status: 0 success, 1 failure, 2 wrong command line, {EXIT_CONFIG} configuration that cannot be used.",
    no_args_is_help=True,
    # A traceback is for defects of the program, and then a plain one: rich's shows the values of variables.
    pretty_exceptions_enable=False,
    # Loading rich takes longer than all the rest of `mdnwatch --version`.
    rich_markup_mode=None,
)

ConfigFile = Annotated[
    Path, typer.Option("--config", metavar="FILE", envvar="MDNWATCH_CONFIG", help="The configuration.")
]
DEFAULT_CONFIG = Path("/etc/mdnwatch/config.toml")


def main() -> None:
    """The entry point: runs a command, and says in plain words what went wrong."""
    try:
        app()
    except ConfigError as error:
        _complain(error)
        sys.exit(EXIT_CONFIG)
    except MdnwatchError as error:
        _complain(error)
        sys.exit(EXIT_FAILURE)


def _complain(error: MdnwatchError) -> None:
    for line in str(error).splitlines():
        typer.echo(f"mdnwatch: {line}", err=True)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if wanted:
        typer.echo(f"mdnwatch {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that stand before a command."""


@app.command()
def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Watch the accounts of the configuration until stopped (SIGTERM, Ctrl-C)."""
    import structlog

    from mdnwatch import daemon, log
    from mdnwatch.config import load, warnings

    loaded = load(config)
    log.configure(loaded.log.level, loaded.log.format)
    for warning in warnings(loaded, config):
        structlog.get_logger().warning(warning)
    _in_loop(daemon.run(loaded, config))


@app.command(name="parse")
def parse_files(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help='Messages, Maildirs, or "-": standard input.')],
    *,
    mbox: Annotated[
        bool, typer.Option("--mbox", help="Split each file at its From lines, as FILE#1, FILE#2, …")
    ] = False,
) -> None:
    """Print what messages report, one JSON object a line; needs no configuration."""
    from mdnwatch import parse

    # A filter ends quietly when its reader does (`| head`).
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    raise typer.Exit(parse.run(files, sys.stdout, sys.stderr, mbox=mbox))


@app.command(name="check-config")
def check_config(
    file: Annotated[Path, typer.Argument(metavar="FILE", envvar="MDNWATCH_CONFIG")] = DEFAULT_CONFIG,
    *,
    connect: Annotated[bool, typer.Option("--connect", help="Log in too, and say what each server can do.")] = False,
) -> None:
    """Name every problem of a configuration, with its place and the way out."""
    from mdnwatch import check

    config = check.readable(file)
    for line in check.summary(config, file):
        typer.echo(line)
    if connect:
        ok, lines = _in_loop(check.connected(config))
        typer.echo("\n".join(lines))
        raise typer.Exit(0 if ok else EXIT_FAILURE)


@app.command(name="status")
def show_status(
    query: Annotated[
        str | None, typer.Argument(metavar="[MESSAGE-ID | ADDRESS]", help="Of which message, or of whom.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Tell what is known: of everything in short, or of one message or address in full."""
    from mdnwatch import local_api, status
    from mdnwatch.config import load

    loaded = load(config)
    facts = local_api.ask(loaded.socket, {"command": "status", "query": query})
    if facts is None:
        typer.echo("mdnwatch: the daemon is not running; this is what its database holds", err=True)
        facts = status.stored(loaded.state_dir, query)
    typer.echo(json.dumps(facts, ensure_ascii=False) if as_json else "\n".join(status.for_people(facts)))


@app.command(name="log")
def show_log(  # noqa: PLR0913 - one parameter for each option
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help='A status log, or "-"; default: that of the configuration.')
    ] = None,
    *,
    following: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help='Events since then: "2h", "3d", "2026-11-23".')
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="KEY=VALUE", help="Events of which this holds; several: all of them."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they are, for programs.")] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Show the events of the status log, one a line."""
    from datetime import UTC, datetime

    from mdnwatch import status_log
    from mdnwatch.config import load

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        wanted = status_log.question(since, where or [], datetime.now(UTC))
    except status_log.WrongQuestion as error:
        raise typer.BadParameter(str(error)) from None
    path = status_log.path_of(load(config)) if file is None else Path("/dev/stdin" if file == "-" else file)
    status_log.run(
        path,
        wanted,
        following=following,
        as_json=as_json,
        now=lambda: datetime.now(UTC),
        out=sys.stdout,
        err=sys.stderr,
    )


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
        _in_loop(first_event.show(path, talk))


@app.command(name="demo")
def show_demo(
    *,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live table, for pipes.")] = False,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Play in this new directory, and leave everything there."),
    ] = None,
) -> None:
    """Show the whole way from sent mail to signed webhook, on this machine alone, without any server."""
    from mdnwatch import demo

    _in_loop(demo.run(plain=plain, keep=keep))


def _in_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, on uvloop where it exists: a TLS connection takes a fifth of the memory there."""
    import asyncio

    new_event_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
    with contextlib.suppress(ImportError):
        from uvloop import new_event_loop
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(work)
    except ExceptionGroup as group:
        error: Exception = group
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        # What stops a task is for the person at the terminal; that there were tasks is not.
        raise error from None
