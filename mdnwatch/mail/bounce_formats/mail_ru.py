"""Mail.Ru: Exim's words, once in Russian and once in English."""

from __future__ import annotations

from mdnwatch.mail.bounce_text import Reading
from mdnwatch.mail.exim_text import read_exim
from mdnwatch.mail.notice import Notice

FORMAT = "mail-ru"


def claims(notice: Notice) -> bool:
    """By the first sentence: this letter was made automatically by the server of Mail.Ru."""
    return "создано автоматически сервером mail.ru" in notice.top


def read(notice: Notice) -> Reading:
    """As Exim's; the two lists say the same."""
    return read_exim(notice)
