"""Submission of a message by SMTP (RFC 6409): the only module that knows aiosmtplib."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import aiosmtplib
from pydantic import Field, model_validator

from mdnwatch.errors import MdnwatchError
from mdnwatch.settings import Duration, Secret, Settings, is_loopback
from mdnwatch.tls import client_context

IMPLICIT_TLS_PORT = 465  # RFC 8314 §3.3
SUBMISSION_PORT = 587  # RFC 6409 §3.1

# Seconds that a server gets to answer QUIT (RFC 5321 §4.1.1.10).
QUIT_SECONDS = 1.0


class SmtpSettings(Settings):
    """A server that takes mail for submission."""

    host: Annotated[
        str, Field(min_length=1, description="Name or address of the SMTP server.", examples=["smtp.example.org"])
    ]
    port: Annotated[
        int, Field(ge=1, le=65535, description='TCP port; default 465 for tls = "implicit", otherwise 587.')
    ]
    tls: Annotated[
        Literal["implicit", "starttls", "none"],
        Field(description='"implicit" (TLS from the first byte), "starttls", or "none" (only to loopback).'),
    ] = "implicit"
    tls_ca: Annotated[
        Path | None, Field(description="PEM file of the authorities to trust, in place of the system's.")
    ] = None
    username: Annotated[
        str | None, Field(description='Login name; "" where the server knows this host without one.')
    ] = None
    password: Annotated[Secret | None, Field(description="As the password of an account.")] = None
    timeout: Annotated[
        Duration, Field(gt=timedelta(0), description="How long the server may take for each answer.")
    ] = timedelta(seconds=20)

    @model_validator(mode="before")
    @classmethod
    def _default_port(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever stands in the file
        if not isinstance(data, dict):
            return data
        implicit = data.get("tls", "implicit") == "implicit"
        filled = {"port": IMPLICIT_TLS_PORT if implicit else SUBMISSION_PORT, **data}
        return {**filled, "username": None} if data.get("username") == "" else filled

    @model_validator(mode="after")
    def _consistent(self) -> SmtpSettings:
        if self.tls == "none" and not is_loopback(self.host):
            raise ValueError('tls: "none" would send mail and password readable over the network: use "starttls"')
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password: give both, or none of them")
        return self


class NotSubmitted(MdnwatchError):
    """The server did not take the message; `permanent` if trying again is of no use. `code` is 0 without a reply."""

    def __init__(self, reason: str, code: int = 0) -> None:
        super().__init__(reason)
        self.code = code

    @property
    def permanent(self) -> bool:
        """RFC 5321 §4.2.1: 5yz is a permanent negative reply."""
        return self.code // 100 == 5  # noqa: PLR2004 - the first digit of the reply code


async def submit(settings: SmtpSettings, sender: str, recipients: Sequence[str], message: bytes) -> str:
    """Hand over a message with CRLF line ends; the server's reply. Raises NotSubmitted and ConfigError."""
    password = await asyncio.to_thread(settings.password.read) if settings.password is not None else None
    client = aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        # Asked of DNS otherwise, which may take its time on the loop.
        local_hostname=socket.gethostname(),
        timeout=settings.timeout.total_seconds(),
        use_tls=settings.tls == "implicit",
        start_tls=settings.tls == "starttls",
        tls_context=await _tls(settings),
    )
    try:
        await client.connect()
        if settings.username is not None and password is not None:
            await client.login(settings.username, password)
        refused, reply = await client.sendmail(sender, recipients, message)
        await _take_leave(client)
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise _failure(settings, error) from None
    finally:
        # Whoever is cancelled waits no more for a server that does not answer.
        client.close()
    for recipient, response in refused.items():
        raise NotSubmitted(f"the server does not take {recipient}: {response.message}", response.code)
    return reply


async def _take_leave(client: aiosmtplib.SMTP) -> None:
    """Say QUIT. The message is taken, whatever comes of that."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(QUIT_SECONDS):
            await client.quit()


async def _tls(settings: SmtpSettings) -> ssl.SSLContext | None:
    if settings.tls == "none":
        return None
    try:
        return await asyncio.to_thread(client_context, settings.tls_ca)
    except OSError as error:
        raise NotSubmitted(f"tls_ca {settings.tls_ca}: {error.strerror or error}") from None


def _failure(settings: SmtpSettings, error: Exception) -> NotSubmitted:
    where = f"{settings.host}:{settings.port}"
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return NotSubmitted(f"{where} refused the password of {settings.username}: {error.message}", error.code)
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        first = error.recipients[0]
        return NotSubmitted(f"{where} does not take {first.recipient}: {first.message}", first.code)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return NotSubmitted(f"{where} answered {error.code} {error.message}", error.code)
    untrusted = error if isinstance(error, ssl.SSLCertVerificationError) else error.__cause__
    if isinstance(untrusted, ssl.SSLCertVerificationError):
        return NotSubmitted(f"the certificate of {where} is not trusted: {untrusted.verify_message}")
    return NotSubmitted(f"{where}: {error}")
