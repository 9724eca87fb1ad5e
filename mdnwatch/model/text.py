"""Foreign text made safe to show: in logs, terminals, notifications and webhooks."""

from __future__ import annotations

import re

# DESIGN "Events": diagnostics, subjects and names come from strangers; one field fits a screen, not a budget.
FOREIGN_TEXT_BYTES = 1024  # bytes of UTF-8

_ELLIPSIS = "\u2026"
# Runs of white space (U+0085, U+2028 and U+2029 end lines too) become one blank.
_BLANKS = re.compile(r"[ \t\n\v\f\r\x85\u2028\u2029]+")
# C0 and C1 controls and DEL steer terminals; bidi controls (Unicode TR9) show text in another order than it has,
# and the marks and joiners beside them are invisible; a lone surrogate cannot be written as UTF-8.
_UNSAFE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]+"
)


def clean(text: str, limit: int = FOREIGN_TEXT_BYTES) -> str:
    """The text without control and bidi characters, on one line, of at most `limit` bytes in UTF-8.

    What is cut off is shown by an ellipsis.
    """
    if text.isprintable() and "  " not in text and 4 * len(text) <= limit:
        # As nearly all text is: nothing to replace, and short, since a character takes four bytes at most.
        return text.strip()
    # A character takes a byte at least: what lies far beyond the limit is not worth a look.
    head = text[: 4 * limit]
    shown = _BLANKS.sub(" ", _UNSAFE.sub("", head)).strip()
    raw = shown.encode("utf-8")
    if len(raw) <= limit and len(head) == len(text):
        return shown
    room = max(limit - len(_ELLIPSIS.encode("utf-8")), 0)
    return raw[:room].decode("utf-8", "ignore").rstrip() + _ELLIPSIS
