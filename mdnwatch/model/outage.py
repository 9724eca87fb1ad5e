"""An outage of a source: when it is worth telling, when it is over, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from mdnwatch.errors import Cause

# An account is back when it was read for so long without a failure: a server that lets in and drops at once is not.
STEADY = timedelta(seconds=10)

# What to do, for those causes about which a person can do something.
WAY_OUT: Mapping[Cause, str] = MappingProxyType(
    {
        Cause.PASSWORD_REFUSED: "put the right password in its place; mdnwatch does not try again before it changes, "
        "or before `systemctl reload mdnwatch`",
        Cause.TOKEN_EXPIRED: "a new token is asked for by itself; if it stays so, log in again: "
        "`mdnwatch oauth login ACCOUNT`",
        Cause.TOKEN_REVOKED: "log in again: `mdnwatch oauth login ACCOUNT`; mdnwatch goes on as soon as there are new "
        "tokens",
        Cause.TOKEN_MISSING: "log in: `mdnwatch oauth login ACCOUNT`; mdnwatch goes on as soon as there are tokens",
        Cause.SECRET_UNREADABLE: "make the password readable where the configuration says it is",
        Cause.LOGIN_IMPOSSIBLE: "change tls or the password as the reason says, then `systemctl reload mdnwatch`",
        Cause.CERTIFICATE: "have the server present a valid certificate for this name, or name its authority as tls_ca",
        Cause.TLS: 'check port and tls: 993 with tls = "implicit", 143 with tls = "starttls"',
        Cause.NAME_NOT_FOUND: "check the spelling of host, and that this machine resolves names",
        Cause.CONNECTION_REFUSED: "check host and port, and that the server runs",
        Cause.UNREACHABLE: "check the network, and firewalls between this machine and the server",
        Cause.SILENT: "the server or something on the way to it hangs; check it, mdnwatch goes on trying",
        Cause.THROTTLED: "the server asks for fewer requests; mdnwatch goes on trying, more and more rarely",
        Cause.TOO_MANY_CONNECTIONS: "close other programs on this mailbox, or raise the limit of the server "
        "(Dovecot: mail_max_userip_connections) or connections_per_host here",
        Cause.FOLDER_GONE: "create or rename the folder on the server, or change folders and sent in the configuration",
        Cause.PROTOCOL: "check host and port: what answers there does not speak IMAP as it should",
        Cause.NOT_STORED: "see to the disk of state_dir",
    }
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a source cannot be read: a code, the reason in words; `lasting` if only a person can end it."""

    cause: Cause
    reason: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Outage:
    """What is known of an account's outage. Times are aware UTC.

    `announced` says whether `source.down` was told. `back_since` is when the account was last found to be read
    again, None while it is not.
    """

    account: str
    since: datetime
    trouble: Trouble
    announced: bool = False
    back_since: datetime | None = None


def failed(outage: Outage | None, account: str, trouble: Trouble, now: datetime) -> Outage:
    """After a failure: a new outage, or the one that goes on, with its latest trouble."""
    if outage is None:
        # As exact as it is kept and told.
        since = now.replace(microsecond=now.microsecond // 1000 * 1000)
        return Outage(account, since, trouble)
    return replace(outage, trouble=trouble, back_since=None)


def is_due(outage: Outage, grace: timedelta, now: datetime) -> bool:
    """Whether `source.down` is to be told now: after the grace, or at once where it cannot end by itself."""
    return not outage.announced and outage.back_since is None and now >= _told_at(outage, grace)


def is_over(outage: Outage, grace: timedelta, now: datetime) -> bool:
    """Whether the account is back for good."""
    return outage.back_since is not None and now >= outage.back_since + min(STEADY, grace)


def next_look(outage: Outage, grace: timedelta) -> datetime | None:
    """When the outage becomes due or over, if nothing happens until then; None where it is neither."""
    if outage.back_since is not None:
        return outage.back_since + min(STEADY, grace)
    return None if outage.announced else _told_at(outage, grace)


def _told_at(outage: Outage, grace: timedelta) -> datetime:
    return outage.since if outage.trouble.lasting else outage.since + grace
