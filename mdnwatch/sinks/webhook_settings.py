"""The settings of a webhook: one `[[sinks]]` table of kind "webhook"."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from yarl import URL

from mdnwatch.http_client import refusal
from mdnwatch.problems import quoted
from mdnwatch.settings import Secret
from mdnwatch.sinks.base import SinkSettings
from mdnwatch.sinks.webhook_keys import key_of

# RFC 9110 §5.6.2 and §5.5, without the obsolete bytes above ASCII.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?")
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1

# What frames a request, and what the specification of webhooks lays down.
_OURS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_WEBHOOK_PREFIX = "webhook-"


class WebhookSettings(SinkSettings):
    """Where and how events are POSTed."""

    kind: Literal["webhook"] = "webhook"
    allow_private: Annotated[
        bool, Field(description="The URL may resolve to a private or loopback address, and be plain http.")
    ] = False
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
            description='Each signs every request, so that a new one can be added before the old one goes: "whsec_…" '
            '(HMAC-SHA256) or "whsk_…" (ed25519).',
            examples=[["whsec_…"]],
        ),
    ]
    headers: Annotated[dict[str, Secret], Field(description="More header fields for every request.")] = {}  # noqa: RUF012 - pydantic copies it
    bearer: Annotated[Secret | None, Field(description="A token sent as Authorization: Bearer (RFC 6750).")] = None
    tls_ca: Annotated[
        Path | None, Field(description="PEM file of the authorities to trust, in place of the system's.")
    ] = None
    client_cert: Annotated[
        Path | None, Field(description="PEM file of the certificate that is shown to the receiver (mutual TLS).")
    ] = None
    client_key: Annotated[
        Secret | None,
        Field(description="PEM file of its key, without a passphrase: a file or a credential. Default: client_cert's."),
    ] = None
    proxy: Annotated[
        str | None, Field(description="HTTP proxy that is asked to connect (CONNECT), as http://proxy.example:3128.")
    ] = None
    proxy_username: Annotated[str | None, Field(description="Name by which the proxy is asked.")] = None
    proxy_password: Annotated[Secret | None, Field(description="Password for it.")] = None

    @field_validator("secrets")
    @classmethod
    def _usable_secrets(cls, secrets: tuple[Secret, ...]) -> tuple[Secret, ...]:
        for secret in secrets:
            # Only what stands in the configuration is looked at here; the others are read when they are needed.
            if secret.value is not None:
                key_of(secret.value)
        return secrets

    @field_validator("headers")
    @classmethod
    def _usable_headers(cls, headers: dict[str, Secret]) -> dict[str, Secret]:
        for name, secret in headers.items():
            if _HEADER_NAME.fullmatch(name) is None:
                raise ValueError(f"{quoted(name)} is no name of a header field: letters, digits and hyphens")
            if name.lower() in _OURS or name.lower().startswith(_WEBHOOK_PREFIX):
                raise ValueError(f"{name} is set by mdnwatch itself: leave it out")
            if secret.value is not None:
                header_value(secret.value)
        return headers

    @field_validator("client_key")
    @classmethod
    def _in_a_file(cls, secret: Secret | None) -> Secret | None:
        if secret is not None and secret.file is None and secret.credential is None:
            raise ValueError('must be { file = "PATH" } or { credential = "NAME" }: TLS reads keys from files')
        return secret

    # Keys stand after those they have to fit, and are judged one by one: every problem is told at once. Of the keys
    # before, those that are wrong themselves are missing in `info.data`.

    @field_validator("url")
    @classmethod
    def _usable_url(cls, text: str, info: ValidationInfo) -> str:
        url = parsed(text)
        if info.data.get("allow_private", True):
            return text
        if url.scheme == "http":
            raise ValueError("plain http can be read and changed on the way: use https, or allow_private = true")
        what = _literal_refusal(url.host or "")
        if what is not None:
            raise ValueError(f"{url.host} is {what}: use a public one, or allow_private = true")
        return text

    @field_validator("tls_ca", "client_cert")
    @classmethod
    def _of_use_for_tls(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is not None and info.data.get("url", "").startswith("http:"):
            raise ValueError("plain http has no certificates: use an https URL, or leave it out")
        return path

    @field_validator("client_key")
    @classmethod
    def _of_a_certificate(cls, secret: Secret | None, info: ValidationInfo) -> Secret | None:
        if secret is not None and info.data.get("client_cert", Path()) is None:
            raise ValueError("is of no use without client_cert: add it")
        return secret

    @field_validator("bearer")
    @classmethod
    def _usable_bearer(cls, secret: Secret | None, info: ValidationInfo) -> Secret | None:
        if secret is None:
            return None
        if any(name.lower() == "authorization" for name in info.data.get("headers", ())):
            raise ValueError("headers holds Authorization too: keep one of them")
        if secret.value is not None:
            bearer_value(secret.value)
        return secret

    @field_validator("proxy")
    @classmethod
    def _usable_proxy(cls, proxy: str | None) -> str | None:
        if proxy is None:
            return None
        try:
            url = URL(proxy)
        except ValueError:
            url = URL()
        if url.scheme != "http" or not url.host or url.path not in ("", "/") or url.query:
            raise ValueError("write it like http://proxy.example:3128 (https goes through it encrypted)")
        if url.user is not None or url.password is not None:
            raise ValueError("name and password go into proxy_username and proxy_password")
        return proxy

    @field_validator("proxy_username")
    @classmethod
    def _usable_proxy_username(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is None:
            return None
        if ":" in name:  # RFC 7617 §2
            raise ValueError("must hold no colon")
        if info.data.get("proxy", "") is None:
            raise ValueError("is of no use without proxy: add it")
        return name

    @model_validator(mode="after")
    def _has_both(self) -> WebhookSettings:
        if (self.proxy_username is None) != (self.proxy_password is None):
            raise ValueError("proxy_username: goes with proxy_password: give both, or neither")
        return self


def parsed(text: str) -> URL:
    """The URL of a receiver. Raises ValueError with the way out."""
    try:
        url = URL(text)
    except ValueError:
        raise ValueError("cannot be read: write it like https://crm.example.org/hooks/mail") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("must begin with https:// and a host")
    if url.user is not None or url.password is not None:
        raise ValueError("must hold no user and password: the signature, or bearer, authenticates")
    return url


def header_value(text: str) -> str:
    """A value of a header field. Raises ValueError, which does not contain it."""
    if _HEADER_VALUE.fullmatch(text) is None:
        raise ValueError("holds what no header field may: only printable ASCII, without blanks at its ends")
    return text


def bearer_value(token: str) -> str:
    """The value of Authorization for a token. Raises ValueError, which does not contain it."""
    if _BEARER.fullmatch(token) is None:
        raise ValueError("is no bearer token: letters, digits and -._~+/ only")
    return f"Bearer {token}"


def _literal_refusal(host: str) -> str | None:
    """Why the guard would refuse a host that is written as an IP address; None for names."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return refusal(host)
