"""Events as lines for people: in colours and cut to the width of a terminal, or plain for everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from mdnwatch.event_words import STYLES, Words

Show = Callable[[Words, str], None]

# Characters of the columns whose texts are short: when, what, grade.
_WHEN, _WHAT, _GRADE = 10, 10, 13
_GAP = "  "

# Where nothing is cut, an address of ordinary length still leaves the next column in its place.
_PLAIN_WHO = 28

# Of the width that is left, who, why and subject get these shares.
_SHARES = (0.28, 0.44)
_NARROWEST = 8


def printer(out: TextIO) -> Show:
    """What writes a line for each event: its words, and when it was."""
    return _on_terminal(out) if out.isatty() else _plainly(out)


def _plainly(out: TextIO) -> Show:
    def show(words: Words, when: str) -> None:
        columns = (f"{when:>{_WHEN}}", f"{words.who:<{_PLAIN_WHO}}", f"{words.what:<{_WHAT}}", words.why, words.subject)
        out.write(_GAP.join(filter(None, (*columns, words.grade))).rstrip() + "\n")
        out.flush()

    return show


def _on_terminal(out: TextIO) -> Show:
    from rich.console import Console  # noqa: PLC0415 - most commands need no rich, and it takes long to load
    from rich.text import Text  # noqa: PLC0415 - the same

    console = Console(file=out, highlight=False)

    def show(words: Words, when: str) -> None:
        line = Text(no_wrap=True, overflow="ellipsis")
        for text, style, width in _columns(words, when, console.width):
            cell = Text(text, style)
            cell.truncate(width, overflow="ellipsis", pad=True)
            line.append_text(cell).append(_GAP)
        line.rstrip()
        console.print(line)

    return show


def _columns(words: Words, when: str, width: int) -> tuple[tuple[str, str, int], ...]:
    """Text, style and width of each column."""
    left = max(width - _WHEN - _WHAT - _GRADE - 5 * len(_GAP), 3 * _NARROWEST)
    who, why = (max(int(left * share), _NARROWEST) for share in _SHARES)
    return (
        (f"{when:>{_WHEN}}", "dim", _WHEN),
        (words.who, "", who),
        (words.what, STYLES.get(words.what, ""), _WHAT),
        (words.why, "", why),
        (words.subject, "italic", left - who - why),
        (words.grade, STYLES.get(words.grade, "dim"), _GRADE),
    )
