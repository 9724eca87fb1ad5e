"""The entry point: the commands of `mdnwatch.commands`, and what went wrong in plain words."""

from __future__ import annotations

import importlib
import io
import pkgutil
import sys

import typer

from mdnwatch import commands
from mdnwatch.commands.app import EXIT_CONFIG, EXIT_FAILURE, app
from mdnwatch.errors import ConfigError, MdnwatchError

for _module in pkgutil.iter_modules(commands.__path__):
    importlib.import_module(f"{commands.__name__}.{_module.name}")


def main() -> None:
    """The entry point: runs a command, and says in plain words what went wrong."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another charset shows an escape for what it cannot write, and no trace of a failure.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
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
