"""Addresses and what is said of them, in the words of a bounce: the grammar that most of its formats share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mdnwatch.mail.bounce_words import is_delay
from mdnwatch.model.report import Action, RecipientBlock, Returned, Typed
from mdnwatch.model.smtp_reply import enhanced_code, reply_code
from mdnwatch.model.text import clean

# As many as common limits on recipients of a message allow.
MAX_RECIPIENTS = 2000
# What is said of one recipient: a reply of several lines, not the rest of a damaged text.
MAX_SAID = 30  # lines

# What ends a word that could be a local part, with the marks of East Asian sentences, which stand without blanks.
_BREAKS = r"\s<>()\[\],;:\"@\\|\uff1a\uff0c\uff1b\uff08\uff09\u3001\u3002\u300a-\u3011"
# An address as it stands in text (RFC 5321 §4.1.2, without source routes; RFC 6531: any characters). Possessive,
# and where it is looked for anywhere, only at the beginning of a word, so that it is found in linear time.
_LOCAL = rf"(?:\"(?:[^\"\\\n]|\\.){{1,64}}+\"|[^{_BREAKS}]{{1,200}}+)"
_DOMAIN = r"[^\W_](?:[\w-]|\.(?=[\w-])){0,254}"
ADDRESS = rf"{_LOCAL}@{_DOMAIN}"
_ADDRESS = re.compile(rf"(?<![^{_BREAKS}]){ADDRESS}")
_RULE = " \t-=_*#"
# Before an address; a local part may be an encoded word (`=?utf-8?B?...?=@example.org`, seen in Sendmail's bounces).
_AROUND = re.compile("(?:['`*\u2018\u2019]|=(?!\\?))+")


class Said(NamedTuple):
    """An address and the words about it; `original` is the address that was written to, where it is another."""

    address: str
    words: str
    original: str | None = None


class Reading(NamedTuple):
    """What a format reader finds: the recipients, and what is returned where only the format knows the place."""

    recipients: tuple[RecipientBlock, ...]
    returned: Returned | None = None


def find_addresses(text: str) -> tuple[str, ...]:
    """The addresses of a text in their order, each once; domains have a dot."""
    found = (bare(match[0]) for match in _ADDRESS.finditer(text))
    return tuple(dict.fromkeys(address for address in found if "." in address.rpartition("@")[2]))


def bare(address: str) -> str:
    """An address as found in a text, without the quotes and marks before it."""
    around = _AROUND.match(address)
    return address[around.end() :] if around is not None else address


def block(said: Said, action: Action = Action.FAILED) -> RecipientBlock:
    """What a bounce says of one recipient, as the fields that RFC 3464 would have for it.

    The status is the enhanced code that the words name, and None where they name none: none is invented.
    """
    words = clean(said.words)
    reply = reply_code(said.words)
    return RecipientBlock(
        final_recipient=Typed("rfc822", clean(said.address)) if said.address else None,
        original_recipient=Typed("rfc822", clean(said.original)) if said.original else None,
        action=action,
        action_as_sent=None,
        status=enhanced_code(said.words),
        diagnostic_code=Typed("smtp" if reply else None, words) if words else None,
    )


def blocks(found: Iterable[Said], text: str) -> tuple[RecipientBlock, ...]:
    """The blocks of some recipients; they are delayed where the text says so of the message."""
    action = Action.DELAYED if is_delay(text) else Action.FAILED
    merged: dict[str, Said] = {}
    for said in found:
        key = said.address.lower()
        known = merged.get(key)
        if known is None and len(merged) >= MAX_RECIPIENTS:
            break
        if known is None:
            merged[key] = said
        elif said.words not in known.words:
            words = f"{known.words}\n{said.words}".strip()
            merged[key] = known._replace(words=words, original=known.original or said.original)
    return tuple(block(said, action) for said in merged.values())


def listing(text: str, entry: re.Pattern[str], end: re.Pattern[str] | None = None) -> Reading:
    """The recipients of `said_after`, as failed or delayed as the text says."""
    return Reading(blocks(said_after(text, entry, end), text))


def said_after(text: str, entry: re.Pattern[str], end: re.Pattern[str] | None = None) -> Iterator[Said]:
    """Each recipient that an entry names, with the words from there to the next entry, or to a line `end`.

    `entry` is multi-line and has the groups `address`, `words` (the rest of its line) and, where it can, `original`.
    An entry without words shares those of the next one: an address list with one reason below.
    """
    matches = list(entry.finditer(text))
    pending: list[Said] = []
    ends = [*(match.start() for match in matches[1:]), len(text)]
    for match, stop in zip(matches, ends[: len(matches)], strict=True):
        words = _limited(text[match.end() : stop], end)
        groups = match.groupdict()
        said = Said(
            bare(groups["address"] or ""),
            f"{groups.get('words') or ''}\n{words}".strip(" \t\n:"),
            bare(groups.get("original") or "") or None,
        )
        pending.append(said)
        if said.words:
            yield from (one._replace(words=one.words or said.words) for one in pending)
            pending = []
    yield from pending


def _limited(words: str, end: re.Pattern[str] | None) -> str:
    if end is not None and (match := end.search(words)):
        words = words[: match.start()]
    lines = words.split("\n", MAX_SAID)[:MAX_SAID]
    return "\n".join(line for line in lines if line.strip(_RULE))
