"""Comments in structured fields (RFC 5322 §3.2.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

# Up to the next comment: text, quoted strings (in which a parenthesis is none), quoted pairs.
_OUTSIDE = re.compile(r'(?:[^"\\(]++|"(?:[^"\\]|\\.)*+"|\\.|["\\])*+', re.DOTALL)
_PARENTHESIS = re.compile(r"\\.|[()]", re.DOTALL)
_DEPTH: Mapping[str, int] = MappingProxyType({"(": 1, ")": -1})


def strip_comments(text: str) -> str:
    """The text without its comments, nested ones too, without surrounding blanks.

    A comment that is not closed reaches to the end.
    """
    if "(" not in text:
        return text.strip()
    kept: list[str] = []
    position = 0
    while position < len(text):
        match = _OUTSIDE.match(text, position)
        if match is not None:
            kept.append(match[0])
            position = match.end()
        if position < len(text):
            position = _comment_end(text, position) + 1
    return "".join(kept).strip()


def first_comment(text: str) -> str | None:
    """What stands in the first comment; None where there is none."""
    start = text.find("(")
    return None if start < 0 else text[start + 1 : _comment_end(text, start)].strip()


def _comment_end(text: str, start: int) -> int:
    """Where the comment that begins at `start` has its closing parenthesis; the end of the text without one."""
    depth = 0
    for match in _PARENTHESIS.finditer(text, start):
        depth += _DEPTH.get(match[0], 0)
        if depth == 0:
            return match.start()
    return len(text)
