"""Amazon WorkMail: the fields of a standard notification, as text."""

from __future__ import annotations

from mdnwatch.mail.bounce_text import Reading
from mdnwatch.mail.fields_in_text import read_fields
from mdnwatch.mail.notice import Notice

FORMAT = "amazon-workmail"


def claims(notice: Notice) -> bool:
    """By its X-Mailer and heading."""
    return notice.header.get("x-mailer") == "Amazon WorkMail" and "technical report:" in notice.top


def read(notice: Notice) -> Reading:
    """The fields of RFC 3464 below "Technical report:"."""
    return Reading(read_fields(notice))
