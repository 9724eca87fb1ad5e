"""What an IMAP account logs in with: its password, or an access token that is renewed before it expires."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from mdnwatch.errors import Cause, ConfigError, SourceRefused
from mdnwatch.settings import Secret
from mdnwatch.sources.base import beating
from mdnwatch.sources.imap_client import Client
from mdnwatch.sources.imap_login import TokenRefused
from mdnwatch.sources.imap_settings import ImapSettings
from mdnwatch.sources.watched_secret import WatchedSecret

Beat = Callable[[], None]


class Credentials(Protocol):
    """What is proved to the server. `beat` tells the watchdog that a wait is no standstill."""

    async def read(self, beat: Beat, *, refused: str | None = None) -> str:
        """The password or access token as it is now; another one than was `refused`, where there can be another.

        Raises SourceRefused when a person has to do something, SourceError otherwise.
        """
        ...

    async def keep_fresh(self, beat: Beat) -> None:
        """Renew what is about to expire. Raises as `read` does."""
        ...

    def has_changed(self) -> bool:
        """Whether somebody has put another one in its place since it was read. Blocks."""
        ...


class Password:
    """A password, which only a person can change."""

    def __init__(self, secret: Secret) -> None:
        self._secret = WatchedSecret(secret)

    async def read(self, beat: Beat, *, refused: str | None = None) -> str:  # noqa: ARG002 - there is no other one
        """The password. Raises SourceRefused."""
        try:
            return await beating(asyncio.to_thread(self._secret.read), beat)
        except ConfigError as error:
            raise SourceRefused(str(error), Cause.SECRET_UNREADABLE) from None

    async def keep_fresh(self, beat: Beat) -> None:
        """It does not expire."""

    def has_changed(self) -> bool:
        """Whether there is another password. Blocks."""
        return self._secret.has_changed()


def credentials_of(settings: ImapSettings, state_dir: Path, now: Callable[[], datetime]) -> Credentials:
    """What an account logs in with; its tokens are kept below `state_dir`."""
    if settings.oauth is not None:
        from mdnwatch.sources.imap_access_token import AccessToken  # noqa: PLC0415 - loads aiohttp, a quarter second

        return AccessToken(settings.name, settings.oauth, state_dir, now)
    if settings.password is None:
        raise RuntimeError("an account has a password or a table oauth")
    return Password(settings.password)


async def logged_in(
    settings: ImapSettings,
    credentials: Credentials,
    tls: ssl.SSLContext | None,
    *,
    now: Callable[[], datetime],
    beat: Beat,
) -> Client:
    """A connection that is logged in. Raises SourceRefused when a person has to change something, or SourceError."""
    secret = await credentials.read(beat)
    try:
        return await Client.open(settings, secret, tls, now=now, beat=beat)
    except TokenRefused:
        # It may have been revoked before its time; and clocks differ.
        other = await credentials.read(beat, refused=secret)
    return await Client.open(settings, other, tls, now=now, beat=beat)
