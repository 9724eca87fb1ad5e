"""The structure of a message as a server tells it (BODYSTRUCTURE, RFC 9051 §7.5.2), as a tree; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mdnwatch.sources.imap_framing import Response
from mdnwatch.sources.imap_grammar import Token, tokens

# A report stands a few levels deep; what is nested deeper is no report.
MAX_DEPTH = 20

# In a part that is no multipart, the type comes first (RFC 9051 §9, body-type-1part).
_SUBTYPE = 1

Tree = list["Tree | bytes | None"]


@dataclass(frozen=True, slots=True)
class Outline:
    """A part: `section` names it in FETCH ("" for the message itself); `boundary` and `parts` are a multipart's."""

    section: str
    media_type: str
    boundary: str = ""
    parts: tuple[Outline, ...] = ()

    def leaves(self) -> Iterator[Outline]:
        """Every part that is no multipart, in order."""
        if not self.media_type.startswith("multipart/"):
            yield self
        for part in self.parts:
            yield from part.leaves()


def outline(response: Response) -> Outline | None:
    """What a `* n FETCH (… BODYSTRUCTURE (…))` says of a multipart; None for anything else, or what is no such tree."""
    stream = tokens(response)
    for token in stream:
        if token.kind == "atom" and token.value.upper() == b"BODYSTRUCTURE":
            tree = _tree(stream)
            return _outline(tree, "") if tree and isinstance(tree[0], list) else None
    return None


def _tree(stream: Iterator[Token]) -> Tree | None:
    """The list that comes next; None where none comes, or one that is too deep or does not end."""
    open_lists: list[Tree] = []
    for token in stream:
        if token.kind == "(":
            one: Tree = []
            if open_lists:
                open_lists[-1].append(one)
            open_lists.append(one)
            if len(open_lists) > MAX_DEPTH:
                return None
        elif not open_lists:
            return None
        elif token.kind == ")":
            done = open_lists.pop()
            if not open_lists:
                return done
        else:
            open_lists[-1].append(token.text)
    return None


def _outline(tree: Tree, section: str) -> Outline:
    inner = [part for part in tree if isinstance(part, list)]
    if not tree or not isinstance(tree[0], list):
        return Outline(section, f"{_word(tree, 0)}/{_word(tree, _SUBTYPE)}")
    # Parts come first, then the subtype, then the parameters.
    count = next((at for at, one in enumerate(tree) if not isinstance(one, list)), len(tree))
    above = f"{section}." if section else ""
    parts = tuple(_outline(part, f"{above}{number}") for number, part in enumerate(inner[:count], 1))
    return Outline(section, f"multipart/{_word(tree, count)}", _boundary(tree[count + 1 :]), parts)


def _word(tree: Tree, place: int) -> str:
    value = tree[place] if place < len(tree) else None
    return value.decode("ascii", "replace").lower() if isinstance(value, bytes) else ""


def _boundary(rest: Tree) -> str:
    pairs = rest[0] if rest and isinstance(rest[0], list) else []
    for place in range(0, len(pairs) - 1, 2):
        value = pairs[place + 1]
        if _word(pairs, place) == "boundary" and isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
    return ""
