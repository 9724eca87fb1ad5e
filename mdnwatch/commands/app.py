"""What the commands share: the application, the option that names the configuration, the way into the loop.

Exit status: 0 success; 1 failure, told on standard error; 2 a wrong command line; 78 a configuration that cannot
be used (EX_CONFIG of sysexits.h, which systemd shows by name).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mdnwatch import __version__

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


def in_loop(work: Coroutine[Any, Any, T]) -> T:
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
