"""qreceipt, a helper of qmail's: the notice that a message was delivered."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, Said, block
from mdnwatch.mail.notice import Notice
from mdnwatch.model.report import Action

FORMAT = "qreceipt"

_DELIVERED = re.compile(rf"was delivered to the\s+following address:\s+(?P<address>{ADDRESS})")


def claims(notice: Notice) -> bool:
    """By the program's first sentence."""
    return "this is the qreceipt program" in notice.top


def read(notice: Notice) -> Reading:
    """The one address that it was delivered to."""
    match = _DELIVERED.search(notice.text)
    return Reading((block(Said(match["address"], ""), Action.DELIVERED),) if match else ())
