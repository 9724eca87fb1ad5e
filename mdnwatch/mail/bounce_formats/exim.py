"""Exim: what it says without DSN, of failures, delays and malformed addresses."""

from __future__ import annotations

from mdnwatch.mail.bounce_text import Reading
from mdnwatch.mail.exim_text import read_exim
from mdnwatch.mail.notice import Notice

FORMAT = "exim"

# Exim breaks its lines at these places; 1&1, which writes nearly the same, at others.
_SENTENCES = (
    "could not be delivered to one or more of its\nrecipients",
    "could not be delivered to all of its recipients. the\nfollowing",
    "could not be delivered to all of its recipients.\nthe following",
    "has not yet been delivered to one or more of its\nrecipients",
    "has not yet been delivered to all its recipients",
    "contained one or more recipient addresses that were\nincorrectly constructed",
    "was rejected by the local scanning code that\nchecks",
)


def claims(notice: Notice) -> bool:
    """By one of Exim's sentences, unless Mail.Ru wrote its own above them."""
    return any(sentence in notice.top for sentence in _SENTENCES) and "mail.ru," not in notice.top


def read(notice: Notice) -> Reading:
    """The indented addresses, each with what is indented deeper below."""
    return read_exim(notice)
