"""Fields of a declared report that stand outside a report part: in its text, where the structure was lost."""

from __future__ import annotations

from collections.abc import Iterator

from mdnwatch.mail.fields import Block, read_blocks
from mdnwatch.mail.head import RETURNED_TYPES
from mdnwatch.mail.mime import Part, walk

# The fields follow a text of a few screens.
MAX_STRAY_TEXT = 256 * 1024  # bytes

# RFC 5322 §3.6: with these begins the header of the returned original, whose fields are not the report's.
_ORIGINAL = frozenset({"received", "return-path", "message-id", "from"})
_RECIPIENT = frozenset({"final-recipient", "original-recipient"})
_VERDICT = frozenset({"action", "disposition"})
_PER_MESSAGE = frozenset({"reporting-mta", "original-envelope-id"})


def find_stray_blocks(container: Part) -> list[Block]:
    """The blocks of fields that a report about recipients must be made of, from the first part that has some.

    Seen where a mail server flattened the parts to one text (Post.Office), or retyped them.
    """
    for part in walk(container):
        if part.parts or part.media_type in RETURNED_TYPES:
            continue
        found = list(_usable(part.content(MAX_STRAY_TEXT)))
        if any(not _RECIPIENT.isdisjoint(block.names()) for block in found):
            return found
    return []


def _usable(text: bytes) -> Iterator[Block]:
    for block in read_blocks(text):
        names = block.names()
        if not _ORIGINAL.isdisjoint(names):
            return
        about_recipient = not _RECIPIENT.isdisjoint(names) and not _VERDICT.isdisjoint(names)
        if about_recipient or not _PER_MESSAGE.isdisjoint(names):
            yield block
