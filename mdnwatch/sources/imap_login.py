"""The login (RFC 9051 §6.2): which of the ways that a server offers is taken, and what its refusal means."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass

from mdnwatch.errors import Cause, SourceError, SourceRefused
from mdnwatch.sources import imap_grammar as grammar
from mdnwatch.sources.imap_session import Exchange, Session
from mdnwatch.sources.imap_trouble import cause_of_refused_login

# Surrogates come from environment variables that are no UTF-8.
_UNSENDABLE = re.compile("[\0\r\n\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A SASL mechanism with one message of the client: its name, and that message for a username and a secret."""

    name: str
    message: Callable[[str, str], bytes]

    def credentials(self, username: str, secret: str) -> str:
        """The message as AUTHENTICATE takes it."""
        return base64.b64encode(self.message(username, secret)).decode("ascii")


# RFC 4616 §2: authorization identity (none: that of the user), user and password, in UTF-8.
PLAIN = Mechanism("PLAIN", lambda username, password: f"\0{username}\0{password}".encode())


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


async def authenticate(
    session: Session, mechanism: Mechanism, username: str, secret: str, capabilities: frozenset[str]
) -> Exchange:
    """Say the mechanism's one message, at once where the server allows that (RFC 4959)."""
    credentials = mechanism.credentials(username, secret)
    if "SASL-IR" in capabilities:
        return await session.run("AUTHENTICATE", mechanism.name, credentials)
    return await session.run("AUTHENTICATE", mechanism.name, reply=credentials.encode("ascii"))


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
    if not secure:
        return 'the server takes no password without TLS: set tls = "starttls" or "implicit"'
    return "the server offers neither LOGIN nor AUTH=PLAIN"
