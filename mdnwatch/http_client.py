"""HTTP requests to addresses that other people chose: guarded, without cookies and the environment's proxy."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from mdnwatch import __version__
from mdnwatch.errors import ConfigError

USER_AGENT = f"mdnwatch/{__version__}"

# Node's HTTP server closes idle connections after 5 s. A request that goes out while the other side is
# closing fails without having been read, so ours are closed first.
KEEP_ALIVE_SECONDS = 4.0

# So much of an answer is read, and for so long, to use its connection again; otherwise it is closed.
DRAIN_BYTES = 16 * 1024
DRAIN_SECONDS = 1.0

# A name is looked up again after this time: receivers move.
DNS_CACHE_SECONDS = 30

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Guard = Callable[[str], str | None]

# IANA's special-purpose registries (RFC 6890 and its updates), multicast (RFC 5771, RFC 4291 §2.7).
_REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "an unspecified address"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a shared address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.88.99.0/24", "a reserved address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a benchmarking address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("::/128", "an unspecified address"),
        ("::1/128", "a loopback address"),
        ("::ffff:0:0/96", "an IPv4-mapped address"),
        ("64:ff9b::/96", "a NAT64 address"),
        ("64:ff9b:1::/48", "a NAT64 address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("ff00::/8", "a multicast address"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a documentation address"),
        ("2002::/16", "a 6to4 address"),
        ("3fff::/20", "a documentation address"),
    )
)
# RFC 4291 §2.4: all other IPv6 addresses are not global, or not yet assigned.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


class AddressRefused(OSError):
    """The address guard kept a connection from being made."""


def refusal(address: str) -> str | None:
    """Why no request may go to an IP address, as "a private address"; None when it is a public one."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "no IP address"
    for network, what in _REFUSED:
        if ip in network:
            return what
    if ip.version == _GLOBAL_UNICAST.version and ip not in _GLOBAL_UNICAST:
        return "a reserved address"
    return None


def open_session(
    *,
    concurrency: int,
    guard: Guard | None,
    resolver: AbstractResolver | None = None,
    tls: ssl.SSLContext | None = None,
) -> aiohttp.ClientSession:
    """A session for requests to one endpoint; made within a running loop, and to be closed.

    `guard` is asked about each address at the moment in which its socket is made, so no later answer of a
    resolver can put another address in its place; with None every address is allowed. Whoever makes a request
    limits its time. Without `tls` the system's authorities are trusted.
    """
    connector = aiohttp.TCPConnector(
        limit=concurrency,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        ttl_dns_cache=DNS_CACHE_SECONDS,
        resolver=resolver or ThreadResolver(),
        socket_factory=None if guard is None else _guarded(guard),
        ssl=True if tls is None else tls,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        # Answers are not read for their content: nothing needs to be unpacked.
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
    )


def check(address: str, guard: Guard) -> None:
    """Raise AddressRefused where the guard refuses an address."""
    what = guard(address)
    if what is not None:
        raise AddressRefused(errno.EACCES, f"{address} is {what}, which allow_private = true would allow")


def tls_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """What to trust (the system's authorities without `ca`), and what to show; PEM files. Blocks.

    Without `key`, that of the certificate stands in its file. Raises ConfigError.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ConfigError([f"tls_ca: {_file_words(ca, error)}"]) from None
    if certificate is not None:
        try:
            # Without a password of its own, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(certificate, key, password=lambda: "")
        except OSError as error:
            raise ConfigError([f"client_cert: {_file_words(certificate, error)}"]) from None
    return context


def _file_words(path: Path | None, error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{path} cannot be used ({error.reason or 'no certificate, or no key, in PEM format'})"
    return f"{error.filename or path}: {error.strerror}"


def _guarded(guard: Guard) -> Callable[[Any], socket.socket]:
    def make_socket(addr_info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        family, kind, protocol, _, address = addr_info
        check(address[0], guard)
        return socket.socket(family, kind, protocol)

    return make_socket


class ThreadResolver(AbstractResolver):
    """The system's resolver, each look-up in a thread of its own.

    The loop's own executor has few threads: names that hang would hold up everybody else's, and the end of the
    program. The connector looks up a name once at a time, so there are no more threads than endpoints.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host. Raises OSError."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def look_up() -> None:
            try:
                found, error = _look_up(host, port, family), None
            except (OSError, UnicodeError) as caught:
                found, error = [], OSError(errno.ENOENT, f"the name {host} was not found ({_words(caught)})")
            # RuntimeError: the loop was closed while this thread waited; nobody asks any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_answer, answer, found, error)

        threading.Thread(target=look_up, name="resolver", daemon=True).start()
        return await answer

    async def close(self) -> None:
        """Nothing to let go of."""


def _look_up(host: str, port: int, family: int) -> list[ResolveResult]:
    infos = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=port,
            family=found_family,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for found_family, _, protocol, _, address in infos
    ]


def _answer(answer: asyncio.Future[list[ResolveResult]], found: list[ResolveResult], error: OSError | None) -> None:
    if answer.cancelled():
        return
    if error is None:
        answer.set_result(found)
    else:
        answer.set_exception(error)


async def drain(response: aiohttp.ClientResponse) -> None:
    """Read a short body to its end, so that its connection can be used again; whatever happens, it is no error."""
    if response.content.is_eof():  # all of it came with the header
        return
    read = 0
    with contextlib.suppress(TimeoutError, OSError, aiohttp.ClientError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while not response.content.at_eof() and read < DRAIN_BYTES:
                read += len(await response.content.readany())


_SECONDS = re.compile(r"[0-9]+")
# No digit beyond these makes a difference: it is more than 30,000 years.
_MAX_DIGITS = 12


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Retry-After (RFC 9110 §10.2.3), seconds or HTTP-date, as seconds from `now`; None where it says nothing."""
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text[:_MAX_DIGITS])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # RFC 9110 §5.6.7: an HTTP-date is in UTC, also in the obsolete form that does not say so.
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max((aware - now).total_seconds(), 0.0)


def cause_of(error: Exception) -> str:
    """Why a request got no answer, in words for people."""
    return next(words(error) for kind, words in _CAUSES if isinstance(error, kind))


def _certificate(error: aiohttp.ClientConnectorCertificateError) -> str:
    verified = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
    return f"the server's certificate is not accepted: {verified}"


def _words(error: Exception) -> str:
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    if isinstance(error, AddressRefused | socket.gaierror) or error.errno == errno.ENOENT or not error.strerror:
        return error.strerror or str(error)
    # asyncio's own text, "Connect call failed", hides what the system said.
    return os.strerror(error.errno) if error.strerror.startswith("Connect call failed") else error.strerror


# The first kind that fits counts.
_CAUSES: tuple[tuple[type[Exception], Callable[[Any], str]], ...] = (
    (TimeoutError, lambda _: "no answer in time"),
    (AddressRefused, _words),
    (aiohttp.ClientConnectorCertificateError, _certificate),
    (aiohttp.ClientHttpProxyError, lambda error: f"the proxy makes no connection: HTTP {error.status}"),
    (aiohttp.ClientProxyConnectionError, lambda error: f"no connection to the proxy: {_words(error.os_error)}"),
    (
        aiohttp.ClientConnectorError,
        lambda error: f"no connection to {error.host}, port {error.port}: {_words(error.os_error)}",
    ),
    (aiohttp.ServerDisconnectedError, lambda _: "the server closed the connection without an answer"),
    (Exception, lambda error: f"{type(error).__name__}: {_words(error)}"),
)
