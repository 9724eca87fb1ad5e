"""The trial of an IMAP account for `check-config --connect`: log in, list, open, and say what the server can do."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

from mdnwatch.errors import SourceError, SourceRefused
from mdnwatch.model.received import Role
from mdnwatch.sources.base import Checked
from mdnwatch.sources.imap_client import Client, CommandRefused, tls_context
from mdnwatch.sources.imap_credentials import credentials_of, logged_in
from mdnwatch.sources.imap_folders import resolve
from mdnwatch.sources.imap_session import Session
from mdnwatch.sources.imap_settings import ImapSettings


async def check(settings: ImapSettings, state_dir: Path) -> Checked:
    """Try the account out, with its tokens below `state_dir`; nothing on the server is changed."""
    try:
        client = await opened(settings, state_dir)
    except SourceError as error:
        return Checked(ok=False, lines=(str(error),), refused=isinstance(error, SourceRefused))
    try:
        return await _examined(settings, client)
    except SourceError as error:
        return Checked(ok=False, lines=(str(error),))
    finally:
        client.abort()


async def opened(settings: ImapSettings, state_dir: Path) -> Client:
    """A login, with the account's tokens below `state_dir` where it has some. Raises SourceError."""

    def now() -> datetime:
        return datetime.now(UTC)

    tls = await asyncio.to_thread(tls_context, settings)
    return await logged_in(settings, credentials_of(settings, state_dir, now), tls, now=now, beat=lambda: None)


async def greeted(settings: ImapSettings) -> None:
    """Connect as far as the greeting, secured as the settings say; no password is needed. Raises SourceError."""
    await hello(settings, await asyncio.to_thread(tls_context, settings))


async def hello(settings: ImapSettings, tls: ssl.SSLContext | None) -> bytes | None:
    """Connect as far as the greeting; the server's certificate in DER, None without TLS. Raises SourceError."""
    session = Session(settings, lambda: datetime.now(UTC), lambda: None)
    try:
        await session.connect(tls)
        return session.certificate
    finally:
        session.abort()


async def _examined(settings: ImapSettings, client: Client) -> Checked:
    lines = [f"logged in at {settings.host}:{settings.port} as {settings.username} ({_protection(settings)})"]
    lines += _abilities(client, settings)
    found = resolve(settings.folders, settings.sent, await client.folders())
    readable = set()
    for folder in found.folders:
        purpose = "sent mail" if folder.role is Role.SENT else "reports"
        try:
            examined = await client.examine(folder.wire)
        except CommandRefused as error:
            lines.append(f"{folder.name}: {error}")
            continue
        readable.add(folder.role)
        lines.append(f"{folder.name}: {examined.exists} messages, read for {purpose}, found {folder.how}")
    lines += [missing.note for missing in found.missing]
    # A special use that the server does not have (other than that of sent mail) is no mistake of the configuration.
    mistaken = any(not missing.wanted.startswith("\\") for missing in found.missing)
    return Checked(ok=readable == set(Role) and not mistaken, lines=tuple(lines))


def _protection(settings: ImapSettings) -> str:
    return {"implicit": "TLS", "starttls": "STARTTLS", "none": "without TLS"}[settings.tls]


def _abilities(client: Client, settings: ImapSettings) -> list[str]:
    polled = f"asked every {settings.poll_interval.total_seconds():g} s"
    idles = "new mail is announced by the server (IDLE)"
    if client.kind is not None and client.kind.slow_idle:
        idles = f"new mail is announced late, so the server is {polled} beside IDLE ({client.kind.reason})"
    told = {
        "IDLE": (idles, f"no IDLE: {polled}"),
        "SPECIAL-USE": ("folders tell their use (SPECIAL-USE)", "no SPECIAL-USE: folders are found by name"),
        "CONDSTORE": ("changes are numbered (CONDSTORE)", "no CONDSTORE, which is not needed"),
    }
    return [yes if name in client.capabilities else no for name, (yes, no) in told.items()]
