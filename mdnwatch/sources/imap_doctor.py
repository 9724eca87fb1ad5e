"""What may be wrong with an IMAP account, found out step by step: from its name in DNS to mail that arrives."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mdnwatch.errors import Cause, SourceError
from mdnwatch.model.outage import WAY_OUT
from mdnwatch.model.received import Role
from mdnwatch.model.text import clean
from mdnwatch.settings import is_loopback
from mdnwatch.smtp_client import NotSubmitted
from mdnwatch.sources.base import Finding
from mdnwatch.sources.imap_arrival import Arrival, Posting, Tell
from mdnwatch.sources.imap_check import hello, opened
from mdnwatch.sources.imap_client import Client, CommandRefused, tls_context
from mdnwatch.sources.imap_folders import resolve
from mdnwatch.sources.imap_session import words_of
from mdnwatch.sources.imap_settings import ImapSettings
from mdnwatch.sources.imap_trouble import cause_of_error
from mdnwatch.tls import Certificate, certificate, unverified_context

# Somebody sits and waits.
STEP = timedelta(seconds=10)

# Time enough to have it renewed.
CERTIFICATE_DAYS = 14

# mdnwatch needs one; somebody's mail programs need others.
CONNECTIONS = 3

# Each session of Dovecot takes an inotify instance of its system user; above their number it looks every 30 s.
INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
DEBIAN_INSTANCES = 128
NEARLY_ALL = 0.8

SMTP_WAY_OUT = "check [accounts.smtp]: host, port, tls, username and password for submission"
WAY_OUT_SENT = "your mail program's settings say where it keeps copies; without them no report can be matched"


async def diagnose(
    settings: ImapSettings, tell: Tell, state_dir: Path, posting: Posting | None = None, accounts: int = 1
) -> None:
    """Look at one thing after the other, up to one that is wrong and on which the others hang; tell each at once.

    `accounts` is how many accounts of the configuration are on this host. Tokens stand below `state_dir`.
    Raises nothing.
    """
    hurried = settings.model_copy(update={"connect_timeout": min(settings.connect_timeout, STEP)})
    try:
        for about, step in (("dns", _resolve), ("tcp", _reach), ("tls", _secure)):
            with _about(about):
                await step(hurried, tell)
        with _about("login"):
            client = await opened(hurried, state_dir)
        tell(Finding.good("login", f"the server takes the {_proof(settings)} of {settings.username}"))
        try:
            _abilities(settings, client, accounts, tell)
            with _about("folders"):
                await _folders(settings, client, tell)
            await _connections(hurried, state_dir, tell)
            if posting is not None:
                with _about("message"):
                    await _arrival(hurried, state_dir, client, posting, tell)
        finally:
            client.abort()
    except _Wrong as wrong:
        tell(wrong.finding)


class _Wrong(Exception):
    """The others cannot be looked at."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


@contextlib.contextmanager
def _about(about: str) -> Iterator[None]:
    try:
        yield
    except (SourceError, NotSubmitted) as error:
        way_out = WAY_OUT.get(error.cause, "") if isinstance(error, SourceError) else SMTP_WAY_OUT
        raise _Wrong(Finding.wrong(about, str(error), way_out)) from None


async def _addresses(settings: ImapSettings) -> list[str]:
    try:
        async with asyncio.timeout(STEP.total_seconds()):
            found = await asyncio.get_running_loop().getaddrinfo(
                settings.host, settings.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
            )
    except TimeoutError:
        raise SourceError(f"no answer about {settings.host}", Cause.NAME_NOT_FOUND) from None
    except (OSError, ValueError) as error:
        why = words_of(error) if isinstance(error, OSError) else "that is no name of a server"
        raise SourceError(f"{settings.host}: {why}", Cause.NAME_NOT_FOUND) from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _resolve(settings: ImapSettings, tell: Tell) -> None:
    addresses = await _addresses(settings)
    if addresses != [settings.host]:
        tell(Finding.good("dns", f"{settings.host} is {', '.join(addresses)}"))


async def _reach(settings: ImapSettings, tell: Tell) -> None:
    """A connection to each address: a program that takes the one that does not answer only waits."""
    failures: list[tuple[str, SourceError]] = []
    addresses = await _addresses(settings)
    for address in addresses:
        try:
            began = asyncio.get_running_loop().time()
            async with asyncio.timeout(STEP.total_seconds()):
                _, writer = await asyncio.open_connection(address, settings.port)
            writer.transport.abort()
            took = asyncio.get_running_loop().time() - began
            tell(Finding.good("tcp", f"{address} port {settings.port} answers ({took * 1000:.0f} ms)"))
        except TimeoutError:
            failures.append((address, SourceError(f"no answer within {STEP.total_seconds():g} s", Cause.UNREACHABLE)))
        except OSError as error:
            failures.append((address, SourceError(words_of(error), cause_of_error(error))))
    for address, failure in failures:
        text = f"{address} port {settings.port}: {failure}"
        if len(failures) == len(addresses):
            raise SourceError(text, failure.cause)
        tell(Finding.note("tcp", text, "have this address removed from DNS, or the server listen on it"))


async def _secure(settings: ImapSettings, tell: Tell) -> None:
    try:
        await hello(settings, await asyncio.to_thread(tls_context, settings))
    except SourceError as error:
        if error.cause is Cause.CERTIFICATE and settings.tls != "none":
            text = f"{error}{await _shown(settings)}"
            raise SourceError(text, Cause.CERTIFICATE) from None
        if other := await _other_way(settings):
            raise SourceError(f'{error}; the server answers with tls = "{other}"', Cause.TLS) from None
        raise
    if settings.tls == "none":
        tell(Finding.good("tls", "without TLS, as configured"))
    elif (found := await _certificate(settings)) is not None:
        tell(_about_expiry(found, datetime.now(UTC)))


async def _certificate(settings: ImapSettings) -> Certificate | None:
    """The server's certificate, whether it is to be trusted or not."""
    with contextlib.suppress(SourceError):
        der = await hello(settings, unverified_context())
        return certificate(der) if der is not None else None
    return None


async def _shown(settings: ImapSettings) -> str:
    """What an untrusted certificate says of itself."""
    found = await _certificate(settings)
    if found is None:
        return ""
    names = ", ".join(found.names) or "no name at all"
    return f"; it is for {names}, valid until {found.not_after:%Y-%m-%d}, issued by {found.issuer}"


def _about_expiry(found: Certificate, now: datetime) -> Finding:
    left = found.not_after - now
    text = f"the certificate is trusted, and valid until {found.not_after:%Y-%m-%d}"
    if left < timedelta(days=CERTIFICATE_DAYS):
        return Finding.note("tls", f"{text}: {left.days} days more", "have it renewed")
    return Finding.good("tls", text)


async def _other_way(settings: ImapSettings) -> str | None:
    """The kind of TLS with which the server does answer, if it is another one."""
    other = "starttls" if settings.tls == "implicit" else "implicit"
    with contextlib.suppress(SourceError):
        await hello(settings.model_copy(update={"tls": other}), unverified_context())
        return other
    return None


def _proof(settings: ImapSettings) -> str:
    return "password" if settings.oauth is None else "access token"


def _abilities(settings: ImapSettings, client: Client, accounts: int, tell: Tell) -> None:
    if client.identity.get("name"):
        tell(Finding.good("server", clean(f"{client.identity['name']} {client.identity.get('version', '')}").strip()))
    polled = f"new mail is asked for every {settings.poll_interval.total_seconds():g} s"
    if "IDLE" not in client.capabilities:
        tell(Finding.note("idle", f"the server has no IDLE: {polled}"))
    elif client.kind is not None and client.kind.slow_idle:
        tell(Finding.note("idle", f"{client.kind.name}: {client.kind.reason}; {polled} beside IDLE"))
    else:
        tell(Finding.good("idle", "the server announces new mail (IDLE)"))
    if client.identity.get("name", "").lower() == "dovecot":
        _about_inotify(settings, accounts, tell)


def _about_inotify(settings: ImapSettings, accounts: int, tell: Tell) -> None:
    if is_loopback(settings.host):
        limit = _inotify_limit()
        where = "this machine"
    else:
        limit, where = DEBIAN_INSTANCES, "the server, if it was left at the default of most systems"
    if limit is None:
        return
    text = f"fs.inotify.max_user_instances on {where} is {limit}, for {accounts} account(s)"
    if accounts >= limit * NEARLY_ALL:
        way_out = f"on the server: sysctl fs.inotify.max_user_instances={max(1024, 4 * accounts)}"
        tell(
            Finding.note(
                "idle", f"{text}: with more sessions of one system user Dovecot looks every 30 s only", way_out
            )
        )
    elif is_loopback(settings.host):
        tell(Finding.good("idle", text))


def _inotify_limit() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(INOTIFY_LIMIT.read_text("ascii"))
    return None


async def _folders(settings: ImapSettings, client: Client, tell: Tell) -> None:
    found = resolve(settings.folders, settings.sent, await client.folders())
    for folder in found.folders:
        about = "sent" if folder.role is Role.SENT else "folders"
        try:
            examined = await client.examine(folder.wire)
        except CommandRefused as error:
            tell(Finding.wrong(about, f"{folder.name}: {error}", WAY_OUT[Cause.FOLDER_GONE]))
        else:
            tell(Finding.good(about, f"{folder.name}: {examined.exists} messages, found {folder.how}"))
    for missing in found.missing:
        if missing.role is Role.SENT:
            tell(Finding.wrong("sent", missing.note, WAY_OUT_SENT))
        elif missing.wanted.startswith("\\"):
            tell(Finding.note("folders", missing.note))
        else:
            tell(Finding.wrong("folders", missing.note, WAY_OUT[Cause.FOLDER_GONE]))


async def _connections(settings: ImapSettings, state_dir: Path, tell: Tell) -> None:
    """Whether there is room beside this one, and that of a daemon that runs."""
    held: list[Client] = []
    try:
        while len(held) + 1 < CONNECTIONS:
            held.append(await opened(settings, state_dir))
        tell(Finding.good("connections", f"{CONNECTIONS} at once are accepted; mdnwatch needs one for each account"))
    except SourceError as error:
        text = f"no more than {len(held) + 1} at once are accepted: {error}"
        tell(Finding.note("connections", text, WAY_OUT[Cause.TOO_MANY_CONNECTIONS]))
    finally:
        for client in held:
            client.abort()


async def _arrival(settings: ImapSettings, state_dir: Path, client: Client, posting: Posting, tell: Tell) -> None:
    looker = await opened(settings, state_dir)
    try:
        await Arrival(settings, client, looker, posting, tell).wait_for_it()
    finally:
        looker.abort()
