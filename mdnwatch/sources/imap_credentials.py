"""What an IMAP account logs in with: its password, or an access token that is renewed before it expires."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from mdnwatch.errors import Cause, ConfigError, SourceError, SourceRefused
from mdnwatch.oauth import ClientRefused, GrantRevoked, OAuthError, TokenEndpoint, Tokens
from mdnwatch.oauth_settings import OAuthSettings
from mdnwatch.oauth_tokens import TokenFile, TokensNotKept, TokensUnusable
from mdnwatch.settings import Secret
from mdnwatch.sources.base import BEAT_SECONDS, beating
from mdnwatch.sources.imap_client import Client
from mdnwatch.sources.imap_login import TokenRefused
from mdnwatch.sources.imap_settings import ImapSettings
from mdnwatch.sources.watched_secret import WatchedSecret

# An access token that is good for less is renewed: longer than a provider is usually out of order.
MARGIN = timedelta(minutes=5)

# The provider may have put new tokens in the place of the old ones already: at the end of the program, so long is
# waited for its answer, and that is kept.
LAST_SECONDS = 5.0

Beat = Callable[[], None]


class Credentials(Protocol):
    """What is proved to the server. `beat` tells the watchdog that a wait is no standstill."""

    async def read(self, beat: Beat, *, refused: str | None = None) -> str:
        """The password or access token as it is now, if there is a way not the one that the server has refused.

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


class AccessToken:
    """The tokens of a grant: `mdnwatch oauth login` brings the first ones, these bring the next."""

    def __init__(self, account: str, settings: OAuthSettings, file: TokenFile, now: Callable[[], datetime]) -> None:
        self._account = account
        self._settings = settings
        self._file = file
        self._now = now
        self._seen: Tokens | None = None
        self._unsaved: Tokens | None = None

    async def read(self, beat: Beat, *, refused: str | None = None) -> str:
        """An access token that is good for a while. Raises SourceRefused or SourceError."""
        try:
            tokens = await self._load()
            if tokens is None or tokens.access_token == refused or not tokens.last(MARGIN, self._now()):
                tokens = await _to_the_end(self._renewed(tokens, refused), beat)
        except TokensUnusable as error:
            self._seen = None
            raise SourceRefused(str(error), Cause.SECRET_UNREADABLE) from None
        except TokensNotKept as error:
            raise SourceError(str(error), Cause.NOT_STORED) from None
        except ConfigError as error:
            raise SourceRefused(f"client_secret: {error}", Cause.SECRET_UNREADABLE) from None
        except GrantRevoked as error:
            raise SourceRefused(f"{error}: {self._way_out}", Cause.TOKEN_REVOKED) from None
        except ClientRefused as error:
            raise SourceRefused(str(error), Cause.LOGIN_IMPOSSIBLE) from None
        except OAuthError as error:
            raise SourceError(f"no new access token could be got: {error}", Cause.TOKEN_EXPIRED) from None
        return tokens.access_token

    async def keep_fresh(self, beat: Beat) -> None:
        """Renew it when it is about to expire. Raises SourceRefused or SourceError."""
        if self._seen is None or not self._seen.last(MARGIN, self._now()):
            await self.read(beat)

    def has_changed(self) -> bool:
        """Whether somebody has logged in anew. Blocks."""
        try:
            return self._file.load() not in (None, self._seen)
        except TokensUnusable:
            return False

    @property
    def _way_out(self) -> str:
        return f"mdnwatch oauth login {self._account}"

    async def _load(self) -> Tokens | None:
        if self._unsaved is not None:
            await self._save(self._unsaved)
        self._seen = await asyncio.to_thread(self._file.load)
        return self._seen

    async def _save(self, tokens: Tokens) -> None:
        # The provider may take the old ones no more, so these are kept whatever the disk says.
        self._seen = self._unsaved = tokens
        await asyncio.to_thread(self._file.save, tokens)
        self._unsaved = None

    async def _renewed(self, known: Tokens | None, refused: str | None) -> Tokens:
        async with self._file.locked():
            current = await self._load()
            if current is not None and current != known:
                # Somebody else has renewed them, or logged in anew.
                return current
            try:
                new = await self._asked_for(current)
            except (GrantRevoked, ClientRefused):
                raise
            except OAuthError:
                if current is None or current.access_token == refused or not current.last(timedelta(), self._now()):
                    raise
                return current
            await self._save(new)
            return new

    async def _asked_for(self, current: Tokens | None) -> Tokens:
        if self._settings.grant == "client_credentials":
            async with TokenEndpoint.open(self._settings, self._now) as endpoint:
                return await endpoint.of_client()
        if current is None:
            raise SourceRefused(f"nobody has logged in yet: {self._way_out}", Cause.TOKEN_MISSING)
        async with TokenEndpoint.open(self._settings, self._now) as endpoint:
            return await endpoint.refreshed(current)


async def _to_the_end(work: Coroutine[Any, Any, Tokens], beat: Beat) -> Tokens:
    """Wait for work that should not be left half done, also at the end of the program."""
    task = asyncio.create_task(work)
    try:
        while not task.done():
            beat()
            await asyncio.wait([task], timeout=BEAT_SECONDS)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=LAST_SECONDS)
        raise
    finally:
        task.cancel()
    beat()
    return task.result()


def credentials_of(settings: ImapSettings, state_dir: Path, now: Callable[[], datetime]) -> Credentials:
    """What an account logs in with; its tokens are kept below `state_dir`."""
    if settings.oauth is not None:
        return AccessToken(settings.name, settings.oauth, TokenFile(state_dir, settings.name), now)
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
