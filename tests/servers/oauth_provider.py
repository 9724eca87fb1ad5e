"""An OAuth 2.0 provider of the tests' own on loopback: strict where the standards say so, and quick to expire."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from queue import Queue
from typing import Any
from urllib.parse import unquote_plus

from aiohttp import BasicAuth, web
from servers.daemon import PATIENCE_SECONDS
from yarl import URL

CLIENT = "mdnwatch-tests"
SECRET = "a secret with / and : and + in it"
USER = "alice@mail.example"

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class _Refusal(Exception):
    """An error of RFC 6749 §5.2."""

    def __init__(self, code: str, description: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.description, self.status = code, description, status


@dataclass
class Provider:
    """What it knows and how it behaves; may be changed at any time from any thread."""

    client_secret: str | None = SECRET
    lifetime: float = 3600.0  # of access tokens, in seconds
    rotates: bool = True  # a refresh token is good once (RFC 9700 §4.14.2)
    consents: bool = True  # what a person would click
    broken: bool = False  # HTTP 503 for whoever wants tokens
    slow: float = 0.0  # seconds until it answers whoever wants tokens
    requests: int = 0  # for tokens, so far
    device_polls: list[str] = field(default_factory=list)  # errors before the consent, one after the other
    access: dict[str, float] = field(default_factory=dict)  # access token -> when it expires, monotonic
    refresh: set[str] = field(default_factory=set)
    codes: dict[str, Mapping[str, str]] = field(default_factory=dict)  # code -> the authorization request
    visits: list[Mapping[str, str]] = field(default_factory=list)  # what browsers were sent with
    devices: set[str] = field(default_factory=set)
    grants: list[str] = field(default_factory=list)  # grant types of the tokens that were given
    asked: list[float] = field(default_factory=list)  # when a device's token was asked for, monotonic
    port: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def settings(self, grant: str, **others: object) -> dict[str, Any]:
        """The table [accounts.oauth] for it."""
        urls = {"authorization_code": "authorization_url", "device_code": "device_url"}
        table: dict[str, Any] = {"client_id": CLIENT, "grant": grant, "token_url": self.url("token")}
        if grant in urls:
            table[urls[grant]] = self.url(urls[grant].removesuffix("_url"))
        if self.client_secret is not None:
            table["client_secret"] = self.client_secret
        return {**table, "scopes": ["imap", "offline_access"], **others}

    def expire(self) -> None:
        """The access tokens are good no more; who has a refresh token may have new ones."""
        self.access.clear()

    def revoke(self) -> None:
        """All that was granted is taken back."""
        self.access.clear()
        self.refresh.clear()

    async def authorization(self, request: web.Request) -> web.Response:
        """RFC 6749 §4.1.1, RFC 7636 §4.3; the person consents at once, or never."""
        asked = dict(request.query)
        self.visits.append(asked)
        if asked.get("response_type") != "code" or asked.get("client_id") != CLIENT:
            return web.Response(status=400, text="response_type or client_id")
        if asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43:
            return web.Response(status=400, text="PKCE")
        if not asked.get("redirect_uri", "").startswith(("http://127.0.0.1:", "http://localhost:")):
            return web.Response(status=400, text="redirect_uri")
        answer = {"state": asked["state"], "error": "access_denied"}
        if self.consents:
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked
            answer = {"state": asked["state"], "code": code}
        raise web.HTTPFound(URL(asked["redirect_uri"]).update_query(answer))

    async def device(self, request: web.Request) -> web.Response:
        """RFC 8628 §3.1; nobody has to type the code."""
        try:
            self._authenticate(request, await _form(request))
        except _Refusal as refusal:
            return _error(refusal)
        device_code = secrets.token_urlsafe(16)
        self.devices.add(device_code)
        facts = {"device_code": device_code, "user_code": "WDJB-MJHT", "verification_uri": self.url("activate")}
        return web.json_response({**facts, "expires_in": 60, "interval": 0.05})

    async def token(self, request: web.Request) -> web.Response:
        """RFC 6749 §3.2."""
        self.requests += 1
        if self.broken:
            return web.Response(status=503, text="out of order")
        try:
            given = await _form(request)
            self._authenticate(request, given)
            grant = given.get("grant_type", "")
            checks = {
                "authorization_code": self._check_code,
                "refresh_token": self._check_refresh_token,
                "client_credentials": self._check_scope,
                DEVICE_GRANT: self._check_device,
            }
            checks.get(grant, self._refuse_grant)(given)
        except _Refusal as refusal:
            return _error(refusal)
        self.grants.append(grant)
        await asyncio.sleep(self.slow)
        return web.json_response(self._new_tokens(grant), headers={"Cache-Control": "no-store"})

    def _new_tokens(self, grant: str) -> dict[str, object]:
        access_token = secrets.token_urlsafe(24)
        self.access[access_token] = time.monotonic() + self.lifetime
        answer: dict[str, object] = {
            "access_token": access_token, "token_type": "Bearer", "expires_in": self.lifetime
        }  # fmt: skip
        # RFC 6749 §4.4.3: client credentials get no refresh token.
        if grant != "client_credentials" and (grant != "refresh_token" or self.rotates):
            answer["refresh_token"] = secrets.token_urlsafe(24)
            self.refresh.add(str(answer["refresh_token"]))
        return answer

    def _authenticate(self, request: web.Request, given: Mapping[str, str]) -> None:
        """RFC 6749 §2.3.1: by HTTP Basic or in the body, never both; a client without a secret only names itself."""
        header, name, secret = request.headers.get("Authorization"), given.get("client_id"), given.get("client_secret")
        if header is not None:
            if secret is not None:
                raise _Refusal("invalid_request")
            basic = BasicAuth.decode(header)
            name, secret = unquote_plus(basic.login), unquote_plus(basic.password)
        if name != CLIENT or secret != self.client_secret:
            raise _Refusal("invalid_client", status=401)

    def _check_code(self, given: Mapping[str, str]) -> None:
        asked = self.codes.pop(given.get("code", ""), None)
        if asked is None or asked["redirect_uri"] != given.get("redirect_uri"):
            raise _Refusal("invalid_grant", "no such code")
        # RFC 7636 §4.6.
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            raise _Refusal("invalid_grant", "the code verifier is wrong")

    def _check_refresh_token(self, given: Mapping[str, str]) -> None:
        token = given.get("refresh_token", "")
        if token not in self.refresh:
            # RFC 9700 §4.14.2: one that was used already may be stolen, so nothing is good any more.
            self.revoke()
            raise _Refusal("invalid_grant", f"Token {token} has been expired or revoked.")
        if self.rotates:
            self.refresh.discard(token)

    @staticmethod
    def _refuse_grant(_given: Mapping[str, str]) -> None:
        raise _Refusal("unsupported_grant_type")

    def _check_scope(self, given: Mapping[str, str]) -> None:
        if given.get("scope") != "imap offline_access":
            raise _Refusal("invalid_scope")

    def _check_device(self, given: Mapping[str, str]) -> None:
        self.asked.append(time.monotonic())
        if given.get("device_code") not in self.devices:
            raise _Refusal("invalid_grant")
        if self.device_polls:
            raise _Refusal(self.device_polls.pop(0))
        if not self.consents:
            raise _Refusal("access_denied")

    async def introspection(self, request: web.Request) -> web.Response:
        """RFC 7662 §2, for the mail server."""
        token = (await _form(request)).get("token", "")
        if self.access.get(token, 0.0) <= time.monotonic():
            return web.json_response({"active": False})
        return web.json_response({"active": True, "username": USER, "scope": "imap", "token_type": "Bearer"})


async def _form(request: web.Request) -> dict[str, str]:
    return {name: str(value) for name, value in (await request.post()).items()}


def _error(refusal: _Refusal) -> web.Response:
    answer = {"error": refusal.code, "error_description": refusal.description}
    return web.json_response({name: value for name, value in answer.items() if value}, status=refusal.status)


@contextlib.contextmanager
def provider(**behaviour: Any) -> Iterator[Provider]:  # noqa: ANN401 - the fields of Provider
    """A provider at work in a thread of its own, since mail servers and commands ask it while a test waits."""
    one = Provider(**behaviour)
    ports: Queue[int] = Queue()
    loops: Queue[asyncio.AbstractEventLoop] = Queue()
    stop = asyncio.Event()

    async def serve() -> None:
        application = web.Application()
        application.router.add_get("/authorization", one.authorization)
        application.router.add_post("/device", one.device)
        application.router.add_post("/token", one.token)
        application.router.add_post("/introspection", one.introspection)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        loops.put(asyncio.get_running_loop())
        ports.put(int(runner.addresses[0][1]))
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    one.port = ports.get(timeout=PATIENCE_SECONDS)
    try:
        yield one
    finally:
        loops.get(timeout=PATIENCE_SECONDS).call_soon_threadsafe(stop.set)
        thread.join()
