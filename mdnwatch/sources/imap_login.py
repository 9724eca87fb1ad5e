"""The login (RFC 9051 §6.2): which of the ways that a server offers is taken, and what its refusal means."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from mdnwatch.errors import Cause, SourceError, SourceRefused
from mdnwatch.model.text import clean
from mdnwatch.sources import imap_grammar as grammar
from mdnwatch.sources.imap_session import Exchange, Session
from mdnwatch.sources.imap_settings import ImapSettings
from mdnwatch.sources.imap_trouble import cause_of_refused_login

# Surrogates come from environment variables that are no UTF-8.
_UNSENDABLE = re.compile("[\0\r\n\ud800-\udfff]")

# Of the status that comes with a refused token: "invalid_token", or a number of HTTP.
STATUS_BYTES = 60


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A SASL mechanism with one message of the client: its name, and that message for a username and a secret.

    `farewell` is what the client says when the server tells of a failure before it ends the exchange.
    """

    name: str
    message: Callable[[str, str], bytes]
    farewell: bytes | None = None

    def credentials(self, username: str, secret: str) -> str:
        """The message as AUTHENTICATE takes it."""
        return base64.b64encode(self.message(username, secret)).decode("ascii")


# RFC 4616 §2: authorization identity (none: that of the user), user and password, in UTF-8.
PLAIN = Mechanism("PLAIN", lambda username, password: f"\0{username}\0{password}".encode())

# https://developers.google.com/workspace/gmail/imap/xoauth2-protocol: after an error the client sends an empty line.
XOAUTH2 = Mechanism("XOAUTH2", lambda username, token: f"user={username}\x01auth=Bearer {token}\x01\x01".encode(), b"")


def oauthbearer(host: str, port: int) -> Mechanism:
    """OAUTHBEARER at a server (RFC 7628 §3.1)."""

    def message(username: str, token: str) -> bytes:
        # RFC 5801 §4: "=" and "," have a meaning of their own in this header.
        name = username.replace("=", "=3D").replace(",", "=2C")
        return f"n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01".encode()

    # RFC 7628 §3.2.3: the client sends a single %x01.
    return Mechanism("OAUTHBEARER", message, base64.b64encode(b"\x01"))


class TokenRefused(SourceRefused):
    """The server does not take an access token: it has expired, was revoked, or gives no right to this mailbox."""


async def login(session: Session, username: str, password: str, capabilities: frozenset[str], *, secure: bool) -> None:
    """Log in with a password. Raises SourceRefused when a person has to change something, SourceError otherwise."""
    if not password or _UNSENDABLE.search(username + password):
        why = "the password is empty, or it or the username holds a line break, a NUL or no UTF-8"
        raise SourceRefused(why, Cause.PASSWORD_REFUSED)
    # RFC 9051 §6.2.3: what LOGIN takes is ASCII.
    if (username + password).isascii() and "LOGINDISABLED" not in capabilities:
        exchange = await session.run("LOGIN", grammar.quoted(username), grammar.quoted(password))
    elif f"AUTH={PLAIN.name}" in capabilities:
        exchange = await authenticate(session, PLAIN, username, password, capabilities)
    else:
        raise SourceRefused(_why_no_login(capabilities, secure=secure), Cause.LOGIN_IMPOSSIBLE)
    if exchange.status != "OK":
        raise _refusal(exchange, username, password)


async def login_by_token(session: Session, settings: ImapSettings, token: str, capabilities: frozenset[str]) -> None:
    """Log in with an access token. Raises TokenRefused, SourceRefused where the server takes none, SourceError."""
    username = settings.username
    known = (oauthbearer(settings.host, settings.port), XOAUTH2)
    mechanism = next((one for one in known if f"AUTH={one.name}" in capabilities), None)
    if mechanism is None:
        why = "the server takes no access tokens: it offers neither AUTH=OAUTHBEARER nor AUTH=XOAUTH2"
        raise SourceRefused(why, Cause.LOGIN_IMPOSSIBLE)
    if _UNSENDABLE.search(username + token) or "\x01" in username + token:
        raise SourceRefused("username or token hold control characters, or no UTF-8", Cause.LOGIN_IMPOSSIBLE)
    exchange = await authenticate(session, mechanism, username, token, capabilities)
    if exchange.status == "OK":
        return
    status = _status(exchange.challenge)
    said = grammar.words(exchange.text) + (f" ({status})" if status else "")
    said = said.replace(token, "…").replace(mechanism.credentials(username, token), "…")
    cause = cause_of_refused_login(exchange.text)
    if cause is Cause.PASSWORD_REFUSED:
        raise TokenRefused(
            f"the server refused the access token of {username}: {said}; if it refuses new ones too, check that the "
            "token is this user's, that its scopes are those for IMAP, and that IMAP is allowed for the mailbox",
            Cause.TOKEN_REVOKED,
        )
    raise SourceError(f"the server does not let {username} in for now: {said}", cause)


def _status(challenge: str) -> str:
    """What the server says of an error before it ends the exchange (RFC 7628 §3.2.2), as "invalid_token"."""
    try:
        answer = json.loads(base64.b64decode(challenge))
    except (binascii.Error, ValueError, RecursionError):
        return ""
    return clean(str(answer.get("status", "")), STATUS_BYTES) if isinstance(answer, dict) else ""


async def authenticate(
    session: Session, mechanism: Mechanism, username: str, secret: str, capabilities: frozenset[str]
) -> Exchange:
    """Say the mechanism's one message, at once where the server allows that (RFC 4959)."""
    credentials = mechanism.credentials(username, secret)
    farewell = [] if mechanism.farewell is None else [mechanism.farewell]
    if "SASL-IR" in capabilities:
        return await session.run("AUTHENTICATE", mechanism.name, credentials, replies=farewell)
    return await session.run("AUTHENTICATE", mechanism.name, replies=[credentials.encode("ascii"), *farewell])


def _refusal(exchange: Exchange, username: str, password: str) -> SourceError:
    said = _without_secrets(grammar.words(exchange.text), username, password)
    cause = cause_of_refused_login(exchange.text)
    if cause is Cause.PASSWORD_REFUSED:
        return SourceRefused(f"the server refused the password of {username}: {said}", cause)
    return SourceError(f"the server does not let {username} in for now: {said}", cause)


def _without_secrets(said: str, username: str, password: str) -> str:
    """Some servers repeat what they did not like, in the form in which it came."""
    for secret in (PLAIN.credentials(username, password), grammar.quoted(password)[1:-1], password):
        said = said.replace(secret, "…")
    return said


def _why_no_login(capabilities: frozenset[str], *, secure: bool) -> str:
    if "LOGINDISABLED" not in capabilities:
        return "the server takes no characters beyond ASCII in username and password: it has no AUTH=PLAIN"
    if capabilities & {"AUTH=OAUTHBEARER", "AUTH=XOAUTH2"}:
        return "the server takes access tokens only: put a table [accounts.oauth] in the place of the password"
    if not secure:
        return 'the server takes no password without TLS: set tls = "starttls" or "implicit"'
    return "the server offers neither LOGIN nor AUTH=PLAIN"
