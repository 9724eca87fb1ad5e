"""Sendmail 8 without DSN, or with its parts lost: addresses with reasons, and a transcript of the session."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mdnwatch.mail.bounce_text import ADDRESS, Reading, Said, block, said_after
from mdnwatch.mail.notice import Notice
from mdnwatch.model.report import Action

FORMAT = "sendmail"

# The headings differ with the version; the action is in them.
_HEADING = re.compile(
    r"^ {3}-{5} The following addresses had (?P<what>[a-z -]{1,60}?)(?: notifications)? -{5}[ \t]*$", re.MULTILINE
)
_SECTION = re.compile(r"^ {3}-{5} ", re.MULTILINE)
_ENTRY = re.compile(rf"^<?(?P<address>{ADDRESS})>?(?P<words>(?:[ \t]*\(.*+)?)$", re.MULTILINE)
_EXPANDED = re.compile(rf"\(expanded from: <?(?P<address>{ADDRESS})>?\)")
_TRANSCRIPT = "----- Transcript of session follows -----"


def claims(notice: Notice) -> bool:
    """By a heading of the address list."""
    return "   ----- the following addresses had " in notice.top


def read(notice: Notice) -> Reading:
    """The addresses below the headings; what a reason leaves open is looked for in the transcript."""
    return Reading(tuple(block(said, action) for said, action in _found(notice.text)))


def _found(text: str) -> Iterator[tuple[Said, Action]]:
    _, _, transcript = text.partition(_TRANSCRIPT)
    for heading in _HEADING.finditer(text):
        after = _SECTION.search(text, heading.end())
        listed = list(said_after(text[heading.end() : after.start() if after else len(text)], _ENTRY))
        for said in listed:
            words = said.words
            expanded = _EXPANDED.search(words)
            # One recipient: the whole transcript is about it; several: the lines that name it.
            about = transcript if len(listed) == 1 else _naming(said.address, transcript)
            original = expanded["address"] if expanded else None
            yield Said(said.address, f"{_reason(words)}\n{about}".strip(), original), _action(heading["what"])


def _action(what: str) -> Action:
    if "successful" in what or "delivery status" in what:
        return Action.DELIVERED
    return Action.DELAYED if "transient" in what or "warning" in what else Action.FAILED


def _reason(words: str) -> str:
    reasons = (line.strip() for line in words.split("\n") if "(expanded from: " not in line)
    return "\n".join(line.removeprefix("(reason: ").removesuffix(")") for line in reasons)


def _naming(address: str, transcript: str) -> str:
    return "\n".join(line for line in transcript.split("\n") if address.lower() in line.lower())
