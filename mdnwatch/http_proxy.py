"""The way of a request to its URL: directly, or through an HTTP proxy that may only connect to a checked address."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp.abc import AbstractResolver
from yarl import URL

from mdnwatch.http_client import DNS_CACHE_SECONDS, AddressRefused, Guard, ThreadResolver, check


@dataclass(frozen=True, slots=True)
class Way:
    """What to request, with which header fields and options of aiohttp more."""

    url: URL
    headers: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


def basic_auth(username: str, password: str) -> str:
    """The credentials as RFC 7617 writes them."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode('ascii')}"


class Direct:
    """No proxy: whoever opens the socket asks the guard."""

    def __init__(self, url: URL) -> None:
        self._ways = [Way(url)]

    async def ways(self) -> Sequence[Way]:
        """The only one."""
        return self._ways


class Proxied:
    """An HTTP proxy, which is told to connect to the very address that the guard has allowed.

    A proxy that were given a name would look it up by itself, and might find another address than we did. So the
    name is looked up here, CONNECT names an address, and TLS inside the tunnel asks for the certificate of the
    name. Without a guard nothing has to be checked, and the proxy gets the name.
    """

    def __init__(
        self,
        url: URL,
        proxy: URL,
        auth: str | None,
        *,
        guard: Guard | None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        """`auth` is a value of Proxy-Authorization.

        With a guard, `url` has to be https: RFC 9112 §3.2.2 lets no other Host go with an address in plain http.
        """
        self._url = url
        self._guard = guard
        self._resolver = resolver or ThreadResolver()
        # aiohttp sends a proxy's Authorization as Proxy-Authorization, in CONNECT or in the request itself.
        self._options = {"proxy": proxy, "proxy_headers": None if auth is None else {"Authorization": auth}}
        self._found: list[Way] = []
        self._found_until = 0.0  # in the loop's time

    async def ways(self) -> Sequence[Way]:
        """One for each allowed address, at least one; each is tried when the proxy did not get through before it.

        Raises OSError when the name is not found, and AddressRefused when no address is allowed.
        """
        if self._guard is None:
            return [Way(self._url, {}, self._options)]
        time = asyncio.get_running_loop().time()
        if not self._found or self._found_until <= time:
            self._found = await self._look_up(self._guard)
            self._found_until = time + DNS_CACHE_SECONDS
        return self._found

    async def _look_up(self, guard: Guard) -> list[Way]:
        host, port = self._url.raw_host or "", self._url.port or 443
        found, refused = [], None
        for result in await self._resolver.resolve(host, port):
            try:
                check(result["host"], guard)
            except AddressRefused as error:
                refused = error
            else:
                found.append(self._to(result["host"]))
        if not found:
            raise refused or OSError(f"the name {host} has no address")
        return found

    def _to(self, address: str) -> Way:
        options = {**self._options, "server_hostname": self._url.raw_host}
        return Way(self._url.with_host(address), {"Host": self._url.host_port_subcomponent or ""}, options)
