"""The fields of a delivery status notification (RFC 3464) that stand in a text instead of a report part."""

from __future__ import annotations

from mdnwatch.mail.dsn import read_recipients
from mdnwatch.mail.fields import read_blocks
from mdnwatch.mail.notice import Notice
from mdnwatch.model.report import RecipientBlock

_NEEDED = ("final-recipient", "original-recipient")


def read_fields(notice: Notice) -> tuple[RecipientBlock, ...]:
    """The recipients of the blocks that name one and an action; () where there is none."""
    if "recipient:" not in notice.text.lower():
        return ()
    found = read_blocks(notice.text.encode("utf-8", "replace"))
    about = [block for block in found if "action" in block and any(name in block for name in _NEEDED)]
    return read_recipients(about, [])
