"""Microsoft Exchange 2007 and later, and Exchange Online, where the standard parts were lost."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, blocks, said_after
from mdnwatch.mail.notice import Notice

FORMAT = "exchange"

# "Diagnostic information for administrators", as Exchange writes it in its languages.
_DIAGNOSTICS = (
    "Diagnostic information for administrators",
    "Diagnoseinformationen für Administratoren",
    "Informations de diagnostic pour les administrateurs",
    "Informazioni di diagnostica per gli amministratori",
    "Información de diagnóstico para los administradores",
    "Información de diagnóstico para administradores",
    "Informações de diagnóstico para administradores",
    "Diagnostische gegevens voor beheerders",
    "Diagnostisk information för administratörer",
    "Диагностические сведения для администраторов",
    "管理者向けの診断情報",
    "管理员的诊断信息",
)
_ENTRY = re.compile(rf"^(?P<address>{ADDRESS})(?:<mailto:[^>\n]{{0,300}}>)?(?P<words>)[ \t]*$", re.MULTILINE)


def claims(notice: Notice) -> bool:
    """By the heading of the diagnostics."""
    return any(heading in notice.text for heading in _DIAGNOSTICS)


def read(notice: Notice) -> Reading:
    """The addresses of the diagnostics, each with the reply below it."""
    start = max(notice.text.find(heading) for heading in _DIAGNOSTICS)
    return Reading(blocks(said_after(notice.text[start:], _ENTRY), notice.text))
