"""Sink `webhook`: one signed POST per event, as the Standard Webhooks specification asks."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from mdnwatch.errors import ConfigError
from mdnwatch.http_client import cause_of, drain, open_session, refusal, retry_after_seconds, tls_context
from mdnwatch.http_proxy import Direct, Proxied, Way, basic_auth
from mdnwatch.model.notification import Outcome, Outgoing, Verdict
from mdnwatch.settings import Secret
from mdnwatch.sinks.webhook_keys import Key, key_of, signatures
from mdnwatch.sinks.webhook_settings import WebhookSettings, bearer_value, header_value

T = TypeVar("T")

KIND = "webhook"
SETTINGS = WebhookSettings

# Statuses by which the endpoint, not the event, is refused: it is overloaded, or a gateway has lost it.
_UNAVAILABLE = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the secrets and files of the settings hold: the keys, header fields, what TLS needs, who asks the proxy."""

    keys: Sequence[Key]
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    proxy_auth: str | None = None  # a value of Proxy-Authorization
    tls_files: bytes = b""  # a hash of their content


class Webhook:
    """The sink: one URL, any number of secrets."""

    def __init__(
        self,
        settings: WebhookSettings,
        credentials: Credentials,
        *,
        now: Callable[[], datetime],
        resolver: AbstractResolver | None = None,
    ) -> None:
        self.settings = settings
        self.identity = _identity(settings, credentials)
        self._keys = credentials.keys
        self._own_headers = {**credentials.headers, "Content-Type": "application/json"}
        self._now = now
        url, guard = URL(settings.url), None if settings.allow_private else refusal
        self._route: Direct | Proxied = Direct(url)
        if settings.proxy is not None:
            # The guard asks for the receiver: the proxy itself mostly stands in the private network.
            self._route = Proxied(url, URL(settings.proxy), credentials.proxy_auth, guard=guard, resolver=resolver)
            guard = None
        self._session = open_session(
            concurrency=settings.concurrency, guard=guard, resolver=resolver, tls=credentials.tls
        )

    @property
    def public_keys(self) -> list[str]:
        """What receivers verify `v1a` signatures with, as "whpk_…"."""
        return [key.public for key in self._keys if key.public is not None]

    async def close(self) -> None:
        """Let go of connections."""
        await self._session.close()

    async def send(self, notification: Outgoing) -> Outcome:
        """POST once. Raises nothing but CancelledError."""
        try:
            async with asyncio.timeout(self.settings.timeout.total_seconds()):
                return await self._send(notification)
        except TimeoutError:
            seconds = self.settings.timeout.total_seconds()
            return Outcome(Verdict.UNAVAILABLE, f"no answer within {seconds:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Outcome(Verdict.UNAVAILABLE, cause_of(error))

    async def _send(self, notification: Outgoing) -> Outcome:
        *others, last = await self._route.ways()
        for way in others:
            try:
                return await self._post(notification, way)
            except aiohttp.ClientHttpProxyError:
                # The proxy did not get through to this address, so nothing was sent yet.
                continue
        return await self._post(notification, last)

    async def _post(self, notification: Outgoing, way: Way) -> Outcome:
        headers = {**self._headers(notification), **way.headers}
        async with self._session.post(
            way.url, data=notification.body, headers=headers, allow_redirects=False, **way.options
        ) as response:
            outcome = self._judged(response.status, response.headers.get("Retry-After"))
            await drain(response)
            return outcome

    def _headers(self, notification: Outgoing) -> dict[str, str]:
        timestamp = int(self._now().timestamp())
        return {
            **self._own_headers,
            "webhook-id": notification.event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signatures(self._keys, notification.event_id, timestamp, notification.body),
        }

    def _judged(self, status: int, retry_after: str | None) -> Outcome:
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return Outcome(Verdict.DELIVERED, "", status)
        cause = _status_words(status)
        if status == HTTPStatus.GONE:
            return Outcome(Verdict.GONE, cause, status)
        verdict = Verdict.UNAVAILABLE if status in _UNAVAILABLE else Verdict.REJECTED
        return Outcome(verdict, cause, status, retry_after_seconds(retry_after, self._now()))


def build(
    settings: WebhookSettings, *, now: Callable[[], datetime], resolver: AbstractResolver | None = None
) -> Webhook:
    """The sink, with its secrets read (which may block) and its session open (within a running loop).

    Raises ConfigError with every secret and file that cannot be used.
    """
    return Webhook(settings, _Reading(settings).credentials(), now=now, resolver=resolver)


class _Reading:
    """Reads what the secrets and files of the settings hold, and collects what is wrong with them."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._problems: list[str] = []

    def credentials(self) -> Credentials:
        """All of it. Raises ConfigError with every problem."""
        settings = self._settings
        keys = [self._read(f"secrets[{index}]", secret, key_of) for index, secret in enumerate(settings.secrets)]
        headers = {
            name: self._read(f"headers.{name}", secret, header_value) for name, secret in settings.headers.items()
        }
        if settings.bearer is not None:
            headers["Authorization"] = self._read("bearer", settings.bearer, bearer_value)
        password = self._read("proxy_password", settings.proxy_password, str)
        tls, tls_files = self._tls()
        if self._problems:
            raise ConfigError(self._problems)
        return Credentials(
            [key for key in keys if key is not None],
            {name: value for name, value in headers.items() if value is not None},
            tls,
            None if password is None else basic_auth(settings.proxy_username or "", password),
            tls_files,
        )

    def _read(self, key: str, secret: Secret | None, understand: Callable[[str], T]) -> T | None:
        try:
            return None if secret is None else understand(secret.read())
        except ConfigError as error:
            self._problems += [f"sink {self._settings.name}: {key}: {problem}" for problem in error.problems]
        except ValueError as error:
            self._problems.append(f"sink {self._settings.name}: {key}: {error}")
        return None

    def _tls(self) -> tuple[ssl.SSLContext | None, bytes]:
        """The context where the system's default does not do, and a hash of the files that went into it."""
        settings = self._settings
        try:
            key = settings.client_key.path() if settings.client_key is not None else None
            files = [path for path in (settings.tls_ca, settings.client_cert, key) if path is not None]
            if not files:
                return None, b""
            context = tls_context(settings.tls_ca, settings.client_cert, key)
            return context, hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).digest()
        except ConfigError as error:
            self._problems += [f"sink {settings.name}: {problem}" for problem in error.problems]
        return None, b""


def _identity(settings: WebhookSettings, credentials: Credentials) -> str:
    """A hash from which neither the URL nor a secret can be told."""
    digest = hashlib.sha256(f"{settings.url}\0{settings.allow_private}\0{settings.proxy}".encode())
    for key in credentials.keys:
        digest.update(key.identity)
    for name, value in sorted(credentials.headers.items()):
        digest.update(hmac.digest(value.encode(), name.encode(), "sha256"))
    if credentials.proxy_auth is not None:
        digest.update(hmac.digest(credentials.proxy_auth.encode(), b"proxy", "sha256"))
    digest.update(credentials.tls_files)
    return digest.hexdigest()[:32]


def _status_words(status: int) -> str:
    """The status with the standard's phrase: the server's own would be foreign text."""
    try:
        words = f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        words = f"HTTP {status}"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"{words}: redirects are not followed, put the final URL into the configuration"
    return words
