"""Reply codes (RFC 5321 §4.2) and enhanced status codes (RFC 3463) in the words of a mail server."""

from __future__ import annotations

import re

# A reply stands at the beginning of what is read; a longer text is a transcript that nobody reads to its end.
MAX_REPLY_TEXT = 8 * 1024  # characters

# RFC 3463 §2: class, subject and detail; the last two have one to three digits, without leading zeros.
_CODE = r"([245])\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})(?!\d|\.\d)"
# RFC 2034 §4: right after the reply code. Leniencies: Yahoo's `550: 5.1.1`, Symantec's `550 #5.1.0`, Postfix's quoted
# lines of several replies, qmail's `(#5.1.1)`, GMX's code at the beginning of a line, Mimecast's after two dashes.
_PLACES = (
    re.compile(rf"(?<![\d.])[245]\d\d[ :-]{{1,3}}[#(]?{_CODE}", re.ASCII),
    re.compile(rf"#{_CODE}", re.ASCII),
    re.compile(
        rf"(?:^[ \t-]*|[\[(<:;>'][ \t]*|\b(?:status|said|code|error|returned)[ :=]{{1,3}}){_CODE}",
        re.ASCII | re.IGNORECASE | re.MULTILINE,
    ),
)
# It begins so wherever it stands; most texts hold nothing of the kind.
_BEGINNING = re.compile(r"[245]\.[0-9]")
_REPLY = re.compile(
    r"(?:^|[:;'\"(\[<>]|\b(?:said|code|error|reply|status|returned|response|failed with|failed):?)[ \t]*"
    r"([245]\d\d)(?=[\s:,\])'\"-]|$)",
    re.ASCII | re.IGNORECASE | re.MULTILINE,
)


def enhanced_code(text: str) -> str | None:
    """The enhanced status code that a text names, as "5.1.1"; None where it names none.

    Numbers that merely look like one (addresses, versions) stand in none of the places where codes stand.
    """
    text = text[:MAX_REPLY_TEXT]
    if _BEGINNING.search(text) is None:
        return None
    for place in _PLACES:
        match = place.search(text)
        if match is not None:
            return ".".join(match.groups())
    return None


def reply_code(text: str) -> int | None:
    """The reply code that a text names, as 550; None where it names none."""
    match = _REPLY.search(text[:MAX_REPLY_TEXT])
    return int(match[1]) if match is not None else None
