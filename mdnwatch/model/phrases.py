"""Tables of what software writes: alternatives of regular expressions, looked for fast.

An expression of a hundred alternatives tries each at every character. Here each is searched only where one of the
literal pieces stands in the text that it cannot do without, which most texts do not have: many times as fast, with the
same answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# One atom outside of groups, and how often it stands: `x`, `\\b`, `[a-z]`, `(?:...)` with groups of three levels in it.
_GROUP = r"\((?:[^()\\]|\\.|\((?:[^()\\]|\\.|\((?:[^()\\]|\\.|\([^()]*\))*\))*\))*\)"
_ATOM = re.compile(rf"(?P<atom>\\.|\[\^?\]?[^\]]*\]|{_GROUP}|[^\\])(?P<times>[?*+][?+]?|\{{[\d,]+\}}[?+]?)?")
_NO_LITERALS = ".^$"
# A group that stands in the text as a whole, captured or not; what looks around matches nothing by itself.
_PLAIN_GROUP = re.compile(r"\((?:\?:|(?!\?))(?P<inner>.*)\)", re.DOTALL)


class Phrases:
    """Lines of alternatives, in lower case, as `re` has them; each line may hold several between bars."""

    def __init__(self, lines: str) -> None:
        alternatives = [one for line in lines.strip().split("\n") for one in split_alternatives(line.strip())]
        self._searches = tuple(
            (piece, re.compile(one, re.MULTILINE).search) for one in alternatives for piece in pieces(one)
        )

    def within(self, lower: str) -> bool:
        """Whether a text in lower case holds any of them."""
        return any(piece in lower and search(lower) for piece, search in self._searches)


def split_alternatives(expression: str) -> Iterator[str]:
    """The alternatives of an expression: its bars outside of groups separate them."""
    current = ""
    for match in _ATOM.finditer(expression):
        if match[0] == "|":
            yield current
            current = ""
        else:
            current += match[0]
    yield current


def pieces(alternative: str) -> tuple[str, ...]:
    """Literal pieces of which at least one stands in every text that an alternative matches; ("",) where none must.

    Of those that an alternative has to offer, the ones that are longest and thereby rarest; of these the last, since
    sentences begin with what they have in common.
    """
    found = [""]
    groups: list[tuple[str, ...]] = []
    for match in _ATOM.finditer(alternative):
        atom, times = match["atom"], match["times"]
        if len(atom) > 1 and atom[0] == "\\" and not atom[1].isalnum():
            # An escaped character: `\.`
            atom = atom[1]
        if len(atom) == 1 and (atom not in _NO_LITERALS or match["atom"][0] == "\\") and times is None:
            found[-1] += atom
        elif match["atom"] != r"\b":
            found.append("")
            if times is None and (group := _PLAIN_GROUP.fullmatch(atom)):
                groups.append(
                    tuple(dict.fromkeys(p for one in split_alternatives(group["inner"]) for p in pieces(one)))
                )
    return max((*reversed(groups), (max(reversed(found), key=len),)), key=lambda several: min(map(len, several)))
