"""Draws the picture in the README: the demo's board at its end, into tests/demo.svg. Run it after a change of either.

.venv/bin/python tests/make_demo_svg.py
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from mdnwatch.demo import CLOSING, play, summary
from mdnwatch.demo_board import Board, View
from mdnwatch.log import configure

PICTURE = Path(__file__).with_name("demo.svg")

# Characters; what a terminal beside a browser has.
WIDTH = 116

# rich's own template, without the font that it fetches from a server: a picture in a README asks nobody for anything.
# The characters of these fonts are 0.602 times as wide as high, and rich's cells are 12.2 wide.
SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 20.26px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""  # noqa: E501 - the style sheet's lines


def drawn(board: Board) -> str:
    """The picture of a board."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(View(board, CLOSING))
    console.print(summary(board), highlight=False)
    return console.export_svg(title="mdnwatch demo", theme=MONOKAI, code_format=SVG, unique_id="mdnwatch-demo")


def played() -> Board:
    """The board as the demo leaves it."""
    configure("error")
    with tempfile.TemporaryDirectory() as home:
        return asyncio.run(play(Path(home), lambda _board, _words: None))


if __name__ == "__main__":
    PICTURE.write_text(drawn(played()), "utf-8")
