"""Questions to the person at the terminal; where nobody sits, the option that would have answered."""

from __future__ import annotations

import sys

import typer

from mdnwatch.errors import MdnwatchError


class Dialogue:
    """Asks and tells. Raises MdnwatchError for a question that nobody can answer, typer.Abort at Ctrl-C or Ctrl-D."""

    def __init__(self, *, interactive: bool | None = None) -> None:
        self.interactive = sys.stdin.isatty() if interactive is None else interactive

    def tell(self, *lines: str) -> None:
        """Lines for the person."""
        for line in lines:
            typer.echo(line)

    def ask(self, question: str, option: str, default: str | None = None) -> str:
        """One line; `default` for Enter, and where nobody can be asked."""
        if self.interactive:
            answer: str = typer.prompt(question, default=default, show_default=bool(default))
            return answer.strip()
        if default is None:
            raise MdnwatchError(f"{question}? Nobody can be asked here: say it by {option}")
        return default

    def ask_secret(self, question: str, option: str) -> str:
        """One line that is not shown."""
        if not self.interactive:
            raise MdnwatchError(f"{question}? Nobody can be asked here: say it by {option}")
        secret: str = typer.prompt(question, hide_input=True)
        return secret

    def confirm(self, question: str, option: str, *, default: bool) -> bool:
        """Yes or no; where nobody can be asked a "no" is an error, since it would be a silent one."""
        if self.interactive:
            return typer.confirm(question, default=default)
        raise MdnwatchError(f"{question} Nobody can be asked here: say yes by {option}")
