"""The text of an HTML part, enough of it to read the words of a bounce."""

from __future__ import annotations

import html
import re

# What is not shown.
_HIDDEN = (("<!--", "-->"), ("<style", "</style"), ("<script", "</script"), ("<head>", "</head"), ("<head ", "</head"))
# Elements after which a line ends.
_LINE_END = re.compile(r"<(?:br|/?p|/?div|/?tr|/?li|/?h[1-6]|/?pre|/?table|hr)\b[^<>]*+>", re.IGNORECASE)
# Cells stand beside each other.
_CELL = re.compile(r"</?t[dh]\b[^<>]*+>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z!][^<>]*+>")
_BLANKS = re.compile(r"[ \t\n]+")
_NO_BREAK_SPACE = "\u00a0"


def html_to_text(source: str) -> str:
    """The text that a reader would see, lines where elements end and blanks where cells do; linear in its length."""
    # Leniency: Yahoo called plain text HTML in 2020.
    flows = "<pre" not in source.lower() and _LINE_END.search(source) is not None
    if flows:
        source = _BLANKS.sub(" ", source)
    for begin, end in _HIDDEN:
        source = _without(source, begin, end)
    text = _TAG.sub("", _CELL.sub(" ", _LINE_END.sub("\n", source)))
    if flows:
        text = text.replace("\n ", "\n")
    return html.unescape(text).replace(_NO_BREAK_SPACE, " ")


def _without(source: str, begin: str, end: str) -> str:
    lower = source.lower()
    if begin not in lower or len(lower) != len(source):
        return source
    kept: list[str] = []
    position = 0
    while (start := lower.find(begin, position)) >= 0:
        kept.append(source[position:start])
        close = lower.find(end, start)
        if close < 0:
            return "".join(kept)
        position = lower.find(">", close) + 1 or len(source)
    return "".join((*kept, source[position:]))
