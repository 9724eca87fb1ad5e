"""Enhanced mail system status codes (RFC 3463) in a Status field (RFC 3464 §2.3.4)."""

from __future__ import annotations

import re

# RFC 3464 §2.3.4: "no white space within the status-code"; one to three digits without leading zeros. RFC 3463 §2
# knows three classes. A comment or the text of the code may follow.
_STATUS = re.compile(r"([245])\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})(?!\d|\.\d)", re.ASCII)


def parse_status(text: str) -> str | None:
    """The status code that a Status field begins with, without what follows; None where it is no code."""
    match = _STATUS.match(text.lstrip())
    return match[0] if match else None
