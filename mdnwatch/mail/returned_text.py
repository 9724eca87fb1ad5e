"""Where in the text of a bounce the returned message begins, and its header there."""

from __future__ import annotations

import re
from typing import NamedTuple

from mdnwatch.mail.header import Header

# Of a returned message only the header is read; its lines are counted, whatever they hold.
MAX_HEADER_LINES = 500
# A line that announces something is short.
MAX_SEPARATOR = 120  # characters

# Names with which headers are told from other lines with a colon.
_NAMES = (
    r"received|return-path|message-id|delivered-to|date|from|to|cc|subject|mime-version|content-type|reply-to|sender"
    r"|in-reply-to|references|content-transfer-encoding|dkim-signature|x-mailer|user-agent|list-id|errors-to"
)
_KNOWN = re.compile(rf"(?:> ?)?({_NAMES}|x-[a-z0-9-]{{1,40}}|arc-[a-z-]{{1,30}})[ \t]{{0,3}}:", re.IGNORECASE)
# These stand in no text for people.
_TELLING = frozenset({"received", "return-path", "message-id", "mime-version"})
_LEAST_KNOWN = 3  # names, where none of them is telling

_MESSAGE = r"(?:e-?mail|mail|message|mensaje|mensagem|nachricht|messaggio|bericht|post|письм\w+|сообщени\w+)"
_RETURNED = r"(?:original|originale|returned|unsent|undelivered|source|bounced|ursprüngliche\w{0,2}|old|исходн\w+)"
# What stands between rules or dashes where it is announced: "----- Original message -----", "--- Below this line ...".
_DECORATED = re.compile(
    rf"(?:{_RETURNED} {_MESSAGE}|{_MESSAGE}s? (?:original|d.origine|text|header|headers|body|suppressed)\b"
    rf"|copy of (?:the|your)|below this line|header and top|(?:original|returned|unsent) (?:mail|header)"
    rf"|header of the)",
    re.IGNORECASE,
)
# A line that says so: "Original message follows.", "Message headers follow.", "Below is a copy of ...:".
_SAID = re.compile(
    rf"[ \t]{{0,8}}(?:"
    rf"(?:{_RETURNED} )?{_MESSAGE}(?: headers?| text| body)?s? (?:follows?|attached|is attached|below[.:]?$)"
    rf"|{_RETURNED} {_MESSAGE}(?: headers?| info)?:[ \t]*$"
    rf"|(?:below|included|enclosed|attached|following|here) (?:is|are|follows) (?:a |the )?"
    rf"(?:copy|first|header|original)"
    rf"|a (?:copy|summary) of (?:the|your) .{{0,40}}(?:below|follows)"
    rf"|your message reads"
    rf"|en-têtes de message d.origine|kopfzeilen der ursprünglichen nachricht|ursprüngliche nachrichtenkopfzeilen"
    rf"|encabezados (?:de|del) mensaje original|intestazioni (?:del )?messaggio originale|元のメッセージ|オリジナル"
    rf")",
    re.IGNORECASE,
)
# One of these is in each line that `_SAID` matches: they are looked for first, since most lines have none.
_HINTS = (
    "follow", "attach", "below", "copy", "reads", "header", "origin", "message:", "mail:", "post:", "bericht:",
    "nachricht", "mensaje", "mensagem", "messaggio", "summary", "元の", "オリジナル", "исходн",
)  # fmt: skip
# What stands before each line of a quoted message, blank ones too.
_QUOTED = "> \t"
_RULE = "-=_*#|~ \t"
_RULES = tuple(character + other for character in "-=_*#|~" for other in "-=_*#|~")


class Split(NamedTuple):
    """`notice` is what stands above the returned message; `header` that of the returned one, None without one."""

    notice: str
    header: Header | None


def split_returned(text: str) -> Split:
    """The words of the bounce, and the header of the message that it returns below them.

    Seen after a separator in a hundred wordings, or after a blank line alone (Zoho), or quoted (Apple Mail).
    """
    lines = text.split("\n")
    separator = _separator(text, lines)
    start = _header_start(lines, separator or 0)
    if separator is not None:
        above = _header_start(lines[:separator], 0)
        if above is not None:
            separator = start = above
    if start is None:
        return Split("\n".join(lines[:separator]), None)
    notice = lines[: start if separator is None else min(start, separator)]
    return Split("\n".join(notice), _header(lines, start))


def _separator(text: str, lines: list[str]) -> int | None:
    """The first line that announces a returned message; None where none does."""
    lower = text.lower()
    hints = [hint for hint in _HINTS if hint in lower]
    for number, (line, in_lower) in enumerate(zip(lines, lower.split("\n"), strict=True)):
        if 0 < len(line) <= MAX_SEPARATOR and _announces(line, in_lower, hints):
            return number
    return None


def _announces(line: str, lower: str, hints: list[str]) -> bool:
    if line[0] in _RULE and line.lstrip().startswith(_RULES):
        return _DECORATED.search(lower.strip(_RULE)) is not None
    return any(map(lower.__contains__, hints)) and _SAID.match(line) is not None


def _header_start(lines: list[str], begin: int) -> int | None:
    """The line at which a header begins, at `begin` or below; None where there is none."""
    number = begin
    while number < len(lines):
        if ":" not in lines[number] or _KNOWN.match(lines[number]) is None:
            number += 1
        elif _begins_header(lines, number):
            return number
        else:
            number = _block_end(lines, number)
    return None


def _begins_header(lines: list[str], start: int) -> bool:
    """Whether a block of lines names enough fields to be a header; most do in their first lines."""
    names: set[str] = set()
    for line in lines[start : start + MAX_HEADER_LINES]:
        if not line.strip(_QUOTED):
            return False
        match = _KNOWN.match(line)
        if match is not None:
            names.add(match[1].lower())
            if len(names) >= _LEAST_KNOWN or (len(names) > 1 and not names.isdisjoint(_TELLING)):
                return True
    return False


def _block_end(lines: list[str], start: int) -> int:
    last = min(len(lines), start + MAX_HEADER_LINES)
    return next((number for number in range(start, last) if not lines[number].strip(_QUOTED)), last)


def _header(lines: list[str], start: int) -> Header:
    block = lines[start : _block_end(lines, start)]
    if block[0].startswith(">"):
        block = [line[1:].removeprefix(" ") for line in block]
    return Header("\n".join(block).encode("utf-8", "replace"))
