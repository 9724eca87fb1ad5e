"""What `mdnwatch doctor` does: look at every account from its name to mail that arrives, and say what to do."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import mdnwatch.sources
from mdnwatch import __version__
from mdnwatch.config import AccountSettings, Config, module_of
from mdnwatch.errors import MdnwatchError
from mdnwatch.problems import not_one_of
from mdnwatch.smtp_client import SmtpSettings, submit
from mdnwatch.sources.base import Finding, Verdict
from mdnwatch.sources.imap_arrival import Posting
from mdnwatch.sources.imap_doctor import diagnose
from mdnwatch.sources.imap_settings import ImapSettings

MARKS = {Verdict.GOOD: "✓", Verdict.NOTE: "!", Verdict.WRONG: "✗"}

ADD_SMTP = "add a table [accounts.smtp] with the server that takes this account's mail; only IMAP accounts have one"

# What each account is told by: its name, and one finding.
Tell = Callable[[str, Finding], None]


async def examine(config: Config, names: Sequence[str], tell: Tell, *, send: bool) -> Mapping[str, Any]:
    """Look at the accounts of these names, or at all, one after the other; everything found, for programs.

    Each finding is told at once, too. Raises MdnwatchError for a name that is none.
    """
    chosen = [account for account in config.accounts if not names or account.name in names]
    if unknown := sorted(set(names) - {account.name for account in config.accounts}):
        raise MdnwatchError(f"account: {not_one_of(unknown[0], [account.name for account in config.accounts])}")
    hosts = Counter(account.host for account in config.accounts if isinstance(account, ImapSettings))
    accounts = []
    for account in chosen:
        found: list[Finding] = []

        def note(finding: Finding, name: str = account.name, found: list[Finding] = found) -> None:
            found.append(finding)
            tell(name, finding)

        if isinstance(account, ImapSettings):
            posting = _posting(account) if send else None
            await diagnose(account, note, config.state_dir, posting, accounts=hosts[account.host])
        else:
            await _checked(account, note, config.state_dir)
        if send and getattr(account, "smtp", None) is None:
            note(Finding.wrong("message", "no SMTP server is configured to send a message by", ADD_SMTP))
        wrong = any(finding.verdict is Verdict.WRONG for finding in found)
        accounts.append({"name": account.name, "ok": not wrong, "findings": [asdict(finding) for finding in found]})
    return {"ok": all(account["ok"] for account in accounts), "accounts": accounts}


async def _checked(account: AccountSettings, note: Callable[[Finding], None], state_dir: Path) -> None:
    """An account that needs no server."""
    checked = await module_of(mdnwatch.sources, account.kind).check(account, state_dir)
    verdict = Verdict.GOOD if checked.ok else Verdict.WRONG
    for line in checked.lines:
        note(Finding("folders", verdict, line))


def _posting(account: ImapSettings) -> Posting | None:
    smtp = account.smtp
    if smtp is None:
        return None
    address = account.addresses[0]
    message_id = f"<{secrets.token_hex(16)}.doctor@{address.rpartition('@')[2]}>"
    message = _message(address, message_id, datetime.now(UTC))
    return Posting(lambda: _submit(smtp, address, message), message_id)


async def _submit(smtp: SmtpSettings, address: str, message: bytes) -> None:
    await submit(smtp, address, [address], message)


def _message(address: str, message_id: str, now: datetime) -> bytes:
    return (
        f"From: <{address}>\r\nTo: <{address}>\r\nSubject: mdnwatch doctor\r\nDate: {format_datetime(now)}\r\n"
        f"Message-ID: {message_id}\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
        f"mdnwatch {__version__} looks whether mail to this mailbox arrives. You may delete this message.\r\n"
    ).encode()


def lines(finding: Finding) -> Sequence[str]:
    """A finding for a person at a terminal."""
    told = [f"  {MARKS[finding.verdict]} {finding.about}: {finding.text}"]
    return [*told, f"      → {finding.way_out}"] if finding.way_out else told


def teller(write: Callable[[str], None]) -> Tell:
    """What writes findings for people as they are made, each account under its name."""
    headed: set[str] = set()

    def tell(name: str, finding: Finding) -> None:
        if name not in headed:
            headed.add(name)
            write(f"account {name}")
        for line in lines(finding):
            write(line)

    return tell
