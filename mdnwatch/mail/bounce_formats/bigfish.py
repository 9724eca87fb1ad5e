"""BigFish (FrontBridge, later Microsoft's hosted filtering): warnings of delay."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, listing
from mdnwatch.mail.notice import Notice

FORMAT = "bigfish"

_ENTRY = re.compile(rf"^\t(?P<address>{ADDRESS})(?P<words>)[ \t]*$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By its header field and first sentence."""
    return "x-bigfish" in notice.header and "automated message created by mail delivery software" in notice.top


def read(notice: Notice) -> Reading:
    """The indented addresses."""
    return listing(notice.text, _ENTRY)
