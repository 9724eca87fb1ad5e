"""An account's access token: read from its file, renewed before it expires, and never by two at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mdnwatch.errors import Cause, ConfigError, SourceError, SourceRefused
from mdnwatch.oauth import ClientRefused, GrantRevoked, OAuthError, TokenEndpoint, Tokens
from mdnwatch.oauth_settings import OAuthSettings
from mdnwatch.oauth_tokens import TokenFile, TokensNotKept, TokensUnusable
from mdnwatch.sources.base import BEAT_SECONDS

# An access token that is good for less is renewed: longer than a provider is usually out of order.
MARGIN = timedelta(minutes=5)

# The provider may have put new tokens in the place of the old ones already: at the end of the program, so long is
# waited for its answer, and that is kept.
LAST_SECONDS = 5.0

Beat = Callable[[], None]


class AccessToken:
    """The tokens of a grant: `mdnwatch oauth login` brings the first ones, these bring the next."""

    def __init__(self, account: str, settings: OAuthSettings, state_dir: Path, now: Callable[[], datetime]) -> None:
        self._account = account
        self._settings = settings
        self._file = TokenFile(state_dir, account)
        self._now = now
        self._seen: Tokens | None = None
        self._unsaved: tuple[Tokens | None, Tokens] | None = None  # what stands in the file, and what should

    async def read(self, beat: Beat, *, refused: str | None = None) -> str:
        """An access token that is good for a while. Raises SourceRefused or SourceError."""
        try:
            tokens = await self._load()
            if tokens is None or self._unsaved or tokens.access_token == refused or self._ends_soon(tokens):
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
        if self._seen is None or self._unsaved or self._ends_soon(self._seen):
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

    def _ends_soon(self, tokens: Tokens) -> bool:
        return not tokens.last(MARGIN, self._now())

    async def _load(self) -> Tokens | None:
        self._seen = await asyncio.to_thread(self._file.load)
        return self._seen

    async def _save(self, old: Tokens | None, new: Tokens) -> Tokens:
        # The provider may take the old ones no more, so the new ones are kept whatever the disk says.
        self._unsaved = old, new
        await asyncio.to_thread(self._file.save, new)
        self._unsaved, self._seen = None, new
        return new

    async def _renewed(self, known: Tokens | None, refused: str | None) -> Tokens:
        async with self._file.locked():
            current = await self._load()
            if self._unsaved is not None:
                known, new = self._unsaved
                if current == known:
                    return await self._save(known, new)
                self._unsaved = None
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
            return await self._save(current, new)

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
