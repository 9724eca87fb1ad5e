"""Whom a text names: the mailboxes in it, so that one of them can be erased wherever it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mdnwatch.model.address import split, without_sub_address

# In running text: no quoted local part, which only stands in a field of its own.
_ADDRESS = re.compile(r"[^\s<>()\[\]:;,@\"\\]+@[\w.-]+")
# "user=bob@there.example", "'bob@there.example'": what stands in front of an address in the words of servers.
_BEFORE = re.compile(r".*[=|`]|[/'*]+")
_PLAIN = re.compile(r"[a-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address without case and sub-address, as `without_sub_address` writes it: that is what is erased."""

    name: str

    def is_named_in(self, text: str | None) -> bool:
        """Whether a text, or any string of a text that is JSON, names it; never for a part of another address."""
        if text is None:
            return False
        local = split(self.name)[0]
        # Most texts do not, and need no closer look.
        if _PLAIN.fullmatch(local) and local not in text.casefold():
            return False
        return self.name in mailboxes_in(_tree(text))


def _tree(text: str) -> Any:  # noqa: ANN401 - any tree of values
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def mailboxes_in(value: Any) -> frozenset[str]:  # noqa: ANN401 - any tree of values
    """All mailboxes that the strings in a tree of values name."""
    return frozenset(without_sub_address(address) for text in _strings(value) for address in _addresses(text))


def _strings(value: Any) -> Iterator[str]:  # noqa: ANN401 - any tree of values
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


def _addresses(text: str) -> Iterator[str]:
    if "@" not in text:
        return
    yield text.strip()
    for address in _ADDRESS.findall(text):
        yield address
        # A full stop ends a sentence, and no domain that is compared.
        if match := _BEFORE.match(address):
            yield address[match.end() :]
