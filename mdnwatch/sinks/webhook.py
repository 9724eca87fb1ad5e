"""Sink `webhook`: one signed POST per event, as the Standard Webhooks specification asks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal

import aiohttp
from aiohttp.abc import AbstractResolver
from pydantic import Field, field_validator, model_validator
from yarl import URL

from mdnwatch.errors import ConfigError
from mdnwatch.http_client import cause_of, drain, open_session, refusal, retry_after_seconds
from mdnwatch.model.notification import Outcome, Outgoing, Verdict
from mdnwatch.settings import Secret
from mdnwatch.sinks.base import SinkSettings

KIND = "webhook"

PREFIX = "whsec_"
# The specification asks for 24 to 64 bytes; below 16 a secret can be searched for.
MIN_KEY_BYTES = 16

_KEY_HELP = (
    'is no webhook secret: write "whsec_" and base64 of at least 16 random bytes '
    '(echo "whsec_$(openssl rand -base64 32)")'
)

# Statuses by which the endpoint, not the event, is refused: it is overloaded, or a gateway has lost it.
_UNAVAILABLE = frozenset({429, 502, 503, 504})


class WebhookSettings(SinkSettings):
    """One `[[sinks]]` table of kind "webhook"."""

    kind: Literal["webhook"] = "webhook"
    url: Annotated[
        str,
        Field(
            description="Where events are POSTed to: https, or with allow_private = true also http.",
            examples=["https://crm.example.org/hooks/mail"],
        ),
    ]
    secrets: Annotated[
        tuple[Secret, ...],
        Field(
            min_length=1,
            description="Each signs every request, so that a new one can be added before the old one goes.",
            examples=[["whsec_…"]],
        ),
    ]
    allow_private: Annotated[
        bool, Field(description="The URL may resolve to a private or loopback address, and be plain http.")
    ] = False

    @field_validator("secrets")
    @classmethod
    def _usable_secrets(cls, secrets: tuple[Secret, ...]) -> tuple[Secret, ...]:
        for secret in secrets:
            # Only what stands in the configuration is looked at here; the others are read when they are needed.
            if secret.value is not None:
                _key(secret.value)
        return secrets

    @model_validator(mode="after")
    def _usable_url(self) -> WebhookSettings:
        url = _parsed(self.url)
        if url.scheme == "http" and not self.allow_private:
            raise ValueError("url: plain http can be read and changed on the way: use https, or allow_private = true")
        what = _literal_refusal(url.host or "")
        if what is not None and not self.allow_private:
            raise ValueError(f"url: {url.host} is {what}: use a public one, or allow_private = true")
        return self


def _parsed(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        raise ValueError("url: cannot be read: write it like https://crm.example.org/hooks/mail") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("url: must begin with https:// and a host")
    if url.user is not None or url.password is not None:
        raise ValueError("url: must hold no user and password: requests are authenticated by their signature")
    return url


def _literal_refusal(host: str) -> str | None:
    """Why the guard would refuse a host that is written as an IP address; None for names."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return refusal(host)


class Webhook:
    """The sink: one URL, any number of secrets."""

    def __init__(
        self,
        settings: WebhookSettings,
        keys: Sequence[bytes],
        *,
        now: Callable[[], datetime],
        resolver: AbstractResolver | None = None,
    ) -> None:
        self.settings = settings
        self.identity = _identity(settings, keys)
        self._url = URL(settings.url)
        self._signers = tuple(map(signer, keys))
        self._now = now
        self._timeout = aiohttp.ClientTimeout(total=settings.timeout.total_seconds())
        self._session = open_session(
            concurrency=settings.concurrency, guard=None if settings.allow_private else refusal, resolver=resolver
        )

    async def close(self) -> None:
        """Let go of connections."""
        await self._session.close()

    async def send(self, notification: Outgoing) -> Outcome:
        """POST once. Raises nothing but CancelledError."""
        try:
            async with self._session.post(
                self._url,
                data=notification.body,
                headers=self._headers(notification),
                allow_redirects=False,
                timeout=self._timeout,
            ) as response:
                outcome = self._judged(response.status, response.headers.get("Retry-After"))
                await drain(response)
                return outcome
        except TimeoutError:
            seconds = self.settings.timeout.total_seconds()
            return Outcome(Verdict.UNAVAILABLE, f"no answer within {seconds:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Outcome(Verdict.UNAVAILABLE, cause_of(error))

    def _headers(self, notification: Outgoing) -> dict[str, str]:
        timestamp = int(self._now().timestamp())
        return {
            "Content-Type": "application/json",
            "webhook-id": notification.event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signatures(self._signers, notification.event_id, timestamp, notification.body),
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

    Raises ConfigError with every secret that cannot be used.
    """
    keys, problems = [], []
    for index, secret in enumerate(settings.secrets):
        place = f"sink {settings.name}: secrets[{index}]"
        try:
            keys.append(_key(secret.read()))
        except ConfigError as error:
            problems += [f"{place}: {problem}" for problem in error.problems]
        except ValueError as error:
            problems.append(f"{place}: {error}")
    if problems:
        raise ConfigError(problems)
    return Webhook(settings, keys, now=now, resolver=resolver)


SETTINGS = WebhookSettings


def signer(key: bytes) -> hmac.HMAC:
    """HMAC-SHA256 that has read the key. Copies of it sign, which is quicker and keeps the interpreter's lock."""
    return hmac.new(key, digestmod=hashlib.sha256)


def signatures(signers: Sequence[hmac.HMAC], event_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature for each key, separated by blanks; seconds since 1970."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{base64.b64encode(_digest(signer, signed)).decode('ascii')}" for signer in signers)


def _digest(signer: hmac.HMAC, signed: bytes) -> bytes:
    copy = signer.copy()
    copy.update(signed)
    return copy.digest()


def _key(secret: str) -> bytes:
    """The bytes of a `whsec_` secret. Raises ValueError, which does not contain it."""
    if not secret.startswith(PREFIX):
        raise ValueError(_KEY_HELP)
    encoded = secret[len(PREFIX) :]
    try:
        # Receivers' libraries accept base64 without its padding, and so do we.
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(_KEY_HELP) from None
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(_KEY_HELP)
    return key


def _identity(settings: WebhookSettings, keys: Sequence[bytes]) -> str:
    """A hash from which neither the URL nor a secret can be told."""
    digest = hashlib.sha256(f"{settings.url}\0{settings.allow_private}".encode())
    for key in keys:
        digest.update(hmac.digest(key, b"identity", "sha256"))
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
