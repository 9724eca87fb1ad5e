"""An explanation on a terminal: paragraphs wrapped to its width, in colours there, plain for everything else."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator
from typing import TextIO

from mdnwatch.explanation.say import Section
from mdnwatch.model.text import clean

# Beyond this a line is hard to follow, however wide the terminal is.
WIDEST = 100  # characters
NARROWEST = 40

_INDENT = "  "
_LABEL = 10  # characters
# The longest statement is a few sentences with a server's words of a KiB in them.
_LONGEST = 8 * 1024  # bytes

# A text with rich's name of a style, or "".
Line = tuple[tuple[str, str], ...]


def show(sections: Iterable[Section], out: TextIO) -> None:
    """Write an explanation."""
    width = max(min(shutil.get_terminal_size().columns, WIDEST), NARROWEST)
    if not out.isatty():
        out.writelines("".join(text for text, _ in line) + "\n" for line in lines(sections, width))
        return
    from rich.console import Console  # noqa: PLC0415 - a pipe needs no rich, and it takes long to load
    from rich.text import Text  # noqa: PLC0415 - the same

    console = Console(file=out, highlight=False)
    for line in lines(sections, width):
        console.print(Text.assemble(*line), soft_wrap=True)


def lines(sections: Iterable[Section], width: int) -> Iterator[Line]:
    """The lines of an explanation, none wider than `width` but where a word is; an empty line between paragraphs."""
    for number, section in enumerate(sections):
        if number:
            yield ()
        if section.heading:
            yield from _wrapped(section.heading, width, "", section.style or "bold")
        for position, say in enumerate(section.says):
            if position or section.heading:
                yield ()
            source = f" [{say.source}]" if say.source else ""
            yield from _wrapped(say.text + source, width, _INDENT)
        yield from _labelled(section, width)


def _labelled(section: Section, width: int) -> Iterator[Line]:
    before = None
    for label, text in section.labelled:
        head = f"{_INDENT}{label if label != before else '':<{_LABEL}} "
        before = label
        first, *rest = _filled(text, width - len(head)) or [""]
        yield (head, "dim"), (first, "")
        yield from (((" " * len(head), ""), (line, "")) for line in rest)


def _wrapped(text: str, width: int, indent: str, style: str = "") -> Iterator[Line]:
    for line in _filled(text, width - len(indent)):
        yield (indent, ""), (line, style)


def _filled(text: str, width: int) -> list[str]:
    # A Message-ID or an address that is broken in two can be copied no more.
    return textwrap.wrap(clean(text, _LONGEST), width, break_long_words=False, break_on_hyphens=False)
