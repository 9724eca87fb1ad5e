"""The errors that mdnwatch raises on purpose; each message says what to do."""

from __future__ import annotations

from enum import StrEnum


class MdnwatchError(Exception):
    """The base of all; its text is meant for the person at the terminal or in the log."""


class ConfigError(MdnwatchError):
    """The configuration cannot be used; `problems` names every fault with its place and the way out."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StoreError(MdnwatchError):
    """The database cannot be opened, is newer than this program, or is owned by another process."""


class CommitFailed(StoreError):
    """A group of units of work was rolled back; nothing of it is stored, and nothing may advance in memory."""


class Cause(StrEnum):
    """Why a source cannot be read, for programs; `mdnwatch.model.outage` has the words."""

    PASSWORD_REFUSED = "password_refused"  # noqa: S105 - the name of a cause
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - the name of a cause
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - the name of a cause
    TOKEN_MISSING = "token_missing"  # noqa: S105 - the name of a cause
    SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105 - the name of a cause
    LOGIN_IMPOSSIBLE = "login_impossible"
    CERTIFICATE = "certificate"
    TLS = "tls"
    NAME_NOT_FOUND = "name_not_found"
    CONNECTION_REFUSED = "connection_refused"
    UNREACHABLE = "unreachable"
    CONNECTION_LOST = "connection_lost"
    SILENT = "silent"
    THROTTLED = "throttled"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    UNAVAILABLE = "unavailable"
    FOLDER_GONE = "folder_gone"
    PROTOCOL = "protocol"
    NOT_STORED = "not_stored"
    OTHER = "other"


class SourceError(MdnwatchError):
    """A source cannot be read for now; the connection is given up and tried again after a back-off."""

    def __init__(self, message: str, cause: Cause = Cause.OTHER) -> None:
        super().__init__(message)
        self.cause = cause


class SourceRefused(SourceError):
    """A source cannot be read until a person changes something: a refused password, a folder that is not there."""
