"""Message-IDs in fields (RFC 5322 §3.6.4), also those that were written wrong."""

from __future__ import annotations

import re

from mdnwatch.mail.comments import strip_comments
from mdnwatch.mail.words import decode_words

# The nearest ancestors stand last in References; a thread of a thousand ids need not be kept.
MAX_IDS_TEXT = 16 * 1024  # characters
# In the text of a bounce: its labelled ids, not whatever stands in angle brackets.
_LABELLED = re.compile(rb"message[- ]id[ \t]*(?::|is|=)?[ \t]*(?:\n[ \t]+)?<([^<>\s]{1,996})>", re.IGNORECASE)
# A text that names more ids than this is a digest and tells nothing.
MAX_INLINE_IDS = 5
# Message-IDs stand at the top of a bounce's text, or in the header of the message quoted in it.
MAX_INLINE_TEXT = 64 * 1024  # bytes
# What stands around an id without brackets: half a pair of them, quotes, the punctuation of a sentence or list.
_AROUND = "<>\"'`;,. \t"

_ID = re.compile(r"<([^<>]+)>")
_ONE_ID = re.compile(r"<[^<>\s]+>")


def message_ids(text: str | None) -> tuple[str, ...]:
    """The ids of In-Reply-To or References in their order, with angle brackets; words between them are skipped."""
    if not text:
        return ()
    if _ONE_ID.fullmatch(text):
        return (text,)
    return tuple(_bracketed(text[-MAX_IDS_TEXT:]))


def original_message_ids(text: str | None) -> tuple[str, ...]:
    """The ids that a field made for one Message-ID holds, with angle brackets, also where they lack them.

    Leniencies: ids in encoded words, ids without brackets, in quotes, with comments or punctuation around them, several
    ids.
    """
    if not text:
        return ()
    if _ONE_ID.fullmatch(text):
        return (text,)
    text = decode_words(text[:MAX_IDS_TEXT]) if "=?" in text else text[:MAX_IDS_TEXT]
    if found := _bracketed(text):
        return tuple(found)
    bare = [token for token in (word.strip(_AROUND) for word in strip_comments(text).split()) if token]
    with_domain = [f"<{token}>" for token in bare if "@" in token]
    return tuple(with_domain or [f"<{token}>" for token in bare[:1]])


def message_id(text: str | None) -> str | None:
    """The id of a Message-ID field, with angle brackets; None where it has none."""
    if text and _ONE_ID.fullmatch(text):
        return text
    found = original_message_ids(text)
    return found[0] if found else None


def inline_message_ids(text: bytes) -> tuple[str, ...]:
    """The ids that a human-readable text names as Message-ID, with angle brackets, each once."""
    found = dict.fromkeys(token.decode("utf-8", "replace") for token in _LABELLED.findall(text[:MAX_INLINE_TEXT]))
    return tuple(f"<{token}>" for token in found) if len(found) <= MAX_INLINE_IDS else ()


def _bracketed(text: str) -> list[str]:
    # RFC 5322 §3.6.4 has no white space in ids; folding puts some in.
    return [f"<{''.join(token.split())}>" for token in _ID.findall(text) if not token.isspace()]
