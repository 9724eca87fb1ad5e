"""What a failure of a server or of the network means, as a code: from its words (RFC 5530) or from the error."""

from __future__ import annotations

import re
import socket
import ssl

from mdnwatch.errors import Cause
from mdnwatch.sources.imap_grammar import code

# RFC 5530 §3: with these codes the password is not the matter.
_NOT_NOW = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "THROTTLED", "OVERQUOTA"})

# And with these it is, or a right that only a person can give, whatever the text sounds like.
_REFUSALS = frozenset({"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED", "CONTACTADMIN"})

# What servers say, code and words together; the first that fits counts.
_WORDS: tuple[tuple[re.Pattern[str], Cause], ...] = (
    # Dovecot: "Maximum number of connections from user+IP exceeded"; Gmail: "Too many simultaneous connections".
    (
        re.compile(r"(?i)too many\b.*\b(connection|session|login)|(number|limit) of connections|connection limit"),
        Cause.TOO_MANY_CONNECTIONS,
    ),
    # Gmail: "[OVERQUOTA] Account exceeded command or bandwidth limits"; Exchange: "Request is throttled".
    (re.compile(r"(?i)throttl|rate limit|bandwidth|slow down|too many|^\[(LIMIT|OVERQUOTA)\]"), Cause.THROTTLED),
    (re.compile(r"(?i)temporar|try again|later|unavailable|internal|shutting down"), Cause.UNAVAILABLE),
)


def cause_of_words(said: str, otherwise: Cause) -> Cause:
    """What a server's status text, with its code, speaks of."""
    return next((cause for pattern, cause in _WORDS if pattern.search(said)), otherwise)


def cause_of_refused_login(said: str) -> Cause:
    """Whether a NO to a login is about the password, or about a server that cannot for now."""
    word, _ = code(said)
    if word in _NOT_NOW:
        return cause_of_words(said, Cause.UNAVAILABLE)
    return Cause.PASSWORD_REFUSED if word in _REFUSALS else cause_of_words(said, Cause.PASSWORD_REFUSED)


def cause_of_error(error: Exception) -> Cause:
    """What an error of the network means."""
    if isinstance(error, socket.gaierror):
        return Cause.NAME_NOT_FOUND
    if isinstance(error, ConnectionRefusedError):
        return Cause.CONNECTION_REFUSED
    if isinstance(error, ssl.SSLCertVerificationError):
        return Cause.CERTIFICATE
    if isinstance(error, ssl.SSLError):
        return Cause.TLS
    return Cause.CONNECTION_LOST if isinstance(error, ConnectionError) else Cause.UNREACHABLE
