"""The token endpoint of OAuth 2.0 (RFC 6749 §3.2): tokens for a grant, and what its refusals mean."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self, TypeGuard
from urllib.parse import quote_plus

import aiohttp

from mdnwatch import http_client
from mdnwatch.errors import MdnwatchError
from mdnwatch.model.text import clean
from mdnwatch.oauth_settings import OAuthSettings

# For one request, from name to answer.
REQUEST_SECONDS = 20.0

# Tokens of Microsoft have about 2 KiB; nobody's answer needs this.
MAX_ANSWER_BYTES = 256 * 1024

# Of what a provider says about an error.
MAX_DESCRIPTION_BYTES = 300

# RFC 6749 §5.2; the others are names of OpenID Connect, with which Microsoft says that a person has to come.
_REVOKED = frozenset({"invalid_grant", "interaction_required", "consent_required", "login_required"})

# RFC 6749 §5.2, RFC 8628 §3.5: it lies with what the configuration says.
_MISTAKEN = frozenset(
    {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_request"}
)


class OAuthError(MdnwatchError):
    """No tokens for now: the provider could not be asked, or is out of order. `code` is its error code, or ""."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class GrantRevoked(OAuthError):
    """The grant is no longer good: somebody has to log in again."""


class ClientRefused(OAuthError):
    """The provider does not take this client or what it asks for: the configuration has to change."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a grant gave. `expires_at` is aware UTC, None where the provider did not say."""

    access_token: str
    refresh_token: str | None = None
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Tokens(…, expires_at={self.expires_at!r})"

    def last(self, margin: timedelta, now: datetime) -> bool:
        """Whether the access token is good for so much longer, as far as is known."""
        return self.expires_at is None or self.expires_at - now > margin

    def to_json(self) -> str:
        """One line, for a file and for the daemon's socket."""
        expires_at = self.expires_at and self.expires_at.isoformat()
        return json.dumps(
            {"access_token": self.access_token, "refresh_token": self.refresh_token, "expires_at": expires_at}
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote. Raises ValueError."""
        table = json.loads(text)
        if not isinstance(table, dict):
            raise ValueError("no JSON object")  # noqa: TRY004 - whatever is wrong with the text is one error
        access_token, refresh_token, expires_at = map(table.get, ("access_token", "refresh_token", "expires_at"))
        if not _is_token(access_token) or not (refresh_token is None or _is_token(refresh_token)):
            raise ValueError("no tokens")
        return cls(access_token, refresh_token, None if expires_at is None else _aware(expires_at))


def _aware(text: object) -> datetime:
    time = datetime.fromisoformat(str(text))
    if time.tzinfo is None:
        raise ValueError("no time zone")
    return time


def _is_token(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value != "" and value.isascii() and value.isprintable()


class TokenEndpoint:
    """A client of a provider. Every method raises GrantRevoked, ClientRefused or OAuthError, without any secret."""

    def __init__(
        self, settings: OAuthSettings, session: aiohttp.ClientSession, secret: str | None, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._session = session
        self._secret = secret
        self._now = now

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: OAuthSettings, now: Callable[[], datetime]) -> AsyncIterator[Self]:
        """For a few requests. Raises ConfigError for a secret or authorities that cannot be read."""
        tls = await asyncio.to_thread(http_client.tls_context, settings.tls_ca, None, None)
        secret = await asyncio.to_thread(settings.client_secret.read) if settings.client_secret is not None else None
        async with http_client.open_session(concurrency=1, guard=None, tls=tls) as session:
            yield cls(settings, session, secret, now)

    async def of_client(self) -> Tokens:
        """Client credentials (RFC 6749 §4.4)."""
        return await self.tokens({"grant_type": "client_credentials", **self.scope})

    async def refreshed(self, old: Tokens) -> Tokens:
        """New tokens for older ones (RFC 6749 §6)."""
        if old.refresh_token is None:
            raise GrantRevoked("the provider gave no refresh token, and the access token has expired")
        new = await self.tokens({"grant_type": "refresh_token", "refresh_token": old.refresh_token})
        # RFC 6749 §6: a new refresh token replaces the old one; where there is none the old one stays good.
        return new if new.refresh_token is not None else Tokens(new.access_token, old.refresh_token, new.expires_at)

    @property
    def scope(self) -> Mapping[str, str]:
        """The parameter `scope`, where there is one to be sent (RFC 6749 §3.3)."""
        return {"scope": " ".join(self._settings.scopes)} if self._settings.scopes else {}

    async def tokens(self, parameters: Mapping[str, str]) -> Tokens:
        """What the token endpoint gives for a grant."""
        asked_at = self._now()
        answer = await self.post(self._settings.token_url, parameters)
        access_token, refresh_token = answer.get("access_token"), answer.get("refresh_token")
        if not _is_token(access_token):
            raise OAuthError(f"{self._settings.token_url} gave no access token")
        # RFC 6749 §7.1: a type of token that is not understood must not be used.
        if str(answer.get("token_type", "bearer")).lower() != "bearer":
            raise OAuthError(f"{self._settings.token_url} gave a token of another type than Bearer")
        return Tokens(
            access_token,
            refresh_token if _is_token(refresh_token) else None,
            _expiry(answer.get("expires_in"), asked_at),
        )

    async def post(self, url: str, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        """What an endpoint answers to parameters and the client's own credentials."""
        data, headers = self._with_credentials(parameters)
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS),
                self._session.post(url, data=data, headers=headers, allow_redirects=False) as response,
            ):
                status, body = response.status, await _bounded(response)
        except (OSError, aiohttp.ClientError) as error:
            raise OAuthError(f"{url}: {self._scrubbed(http_client.cause_of(error), parameters)}") from None
        answer = _object(body)
        if status == 200 and answer is not None and "error" not in answer:  # noqa: PLR2004 - RFC 6749 §5.1
            return answer
        raise self._error(url, status, answer or {}, parameters)

    def _with_credentials(self, parameters: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        known = self._settings.known
        data = {**parameters, "client_id": self._settings.client_id}
        if self._secret is None:
            return data, {}
        if known is not None and known.secret_in_body:
            return {**data, "client_secret": self._secret}, {}
        # RFC 6749 §2.3.1: both are encoded as form parameters first; every server has to understand this way.
        user, password = map(quote_plus, (self._settings.client_id, self._secret))
        return dict(parameters), {"Authorization": aiohttp.encode_basic_auth(user, password)}

    def _error(self, url: str, status: int, answer: Mapping[str, Any], parameters: Mapping[str, str]) -> OAuthError:
        code = answer.get("error")
        if not isinstance(code, str):
            return OAuthError(f"{url} answered HTTP {status}")
        said = self._scrubbed(str(answer.get("error_description") or ""), parameters)
        words = clean(f"{code}: {said}" if said else code, MAX_DESCRIPTION_BYTES)
        if code in _REVOKED:
            return GrantRevoked(f"the provider no longer takes the grant ({words})", code)
        if code in _MISTAKEN:
            return ClientRefused(f"the provider refuses the request ({words}): check [accounts.oauth]", code)
        return OAuthError(f"{url} answered: {words}", code)

    def _scrubbed(self, said: str, parameters: Mapping[str, str]) -> str:
        """Without the secrets that were sent, which some servers repeat."""
        sent = [parameters.get(name) for name in ("refresh_token", "code", "code_verifier", "device_code")]
        for secret in (*sent, self._secret):
            said = said.replace(secret, "…") if secret else said
        return said


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while not response.content.at_eof() and len(body) <= MAX_ANSWER_BYTES:
        body += await response.content.readany()
    return body[:MAX_ANSWER_BYTES]


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _expiry(expires_in: object, asked_at: datetime) -> datetime | None:
    """RFC 6749 §5.1: seconds, a number; some servers write it as a string."""
    try:
        return asked_at + timedelta(seconds=float(str(expires_in))) if expires_in is not None else None
    except (ValueError, OverflowError):
        return None
