"""The two ways of OAuth 2.0 in which a person consents: in a browser of this machine, or on any other device."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from html import escape

from aiohttp import web
from yarl import URL

from mdnwatch.errors import MdnwatchError
from mdnwatch.model.text import clean
from mdnwatch.oauth import GrantRevoked, OAuthError, TokenEndpoint, Tokens
from mdnwatch.oauth_settings import OAuthSettings

# A person looks for a password, and for the phone with the second factor.
CONSENT_SECONDS = 15 * 60.0

# RFC 8628 §3.5: the pause between two questions where the provider names none, and what "slow_down" adds to it.
POLL_SECONDS = 5.0
SLOWER_SECONDS = 5.0

# RFC 7636 §4.1 asks for 43 characters at least; RFC 6749 §10.10 for what nobody guesses.
RANDOM_BYTES = 32

# The second one is Microsoft's own word for the first.
DENIED = frozenset({"access_denied", "authorization_declined"})

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def in_browser(
    settings: OAuthSettings,
    endpoint: TokenEndpoint,
    username: str,
    *,
    port: int,
    show: Callable[[str], None],
) -> Tokens:
    """The authorization code (RFC 6749 §4.1) with PKCE (RFC 7636), which comes to a port of loopback (RFC 8252 §7.3).

    `port` 0 is any that is free. `show` gets the URL to be opened in a browser of this machine. Raises OAuthError.
    """
    state, verifier = secrets.token_urlsafe(RANDOM_BYTES), secrets.token_urlsafe(RANDOM_BYTES)
    async with _redirected(settings, port, state) as (redirect_uri, answer):
        show(str(_authorization_url(settings, username, redirect_uri, state, verifier)))
        try:
            async with asyncio.timeout(CONSENT_SECONDS):
                given = await answer
        except TimeoutError:
            raise OAuthError(f"nobody consented within {CONSENT_SECONDS / 60:.0f} minutes") from None
    if "code" not in given:
        raise GrantRevoked(f"the provider gave no access: {_reason(given)}", given.get("error", ""))
    return await endpoint.tokens(
        {
            "grant_type": "authorization_code",
            "code": given["code"],
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
    )


def _authorization_url(settings: OAuthSettings, username: str, redirect_uri: str, state: str, verifier: str) -> URL:
    # RFC 7636 §4.2: BASE64URL(SHA256(verifier)), without padding.
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).decode("ascii").rstrip("=")
    parameters = {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        # Which of a person's accounts is meant (OpenID Connect Core §3.1.2.1); others leave it unread.
        "login_hint": username,
        **(settings.known.parameters if settings.known is not None else {}),
    }
    if settings.scopes:
        parameters["scope"] = " ".join(settings.scopes)
    return URL(settings.authorization_url or "").update_query(parameters)


@asynccontextmanager
async def _redirected(
    settings: OAuthSettings, port: int, state: str
) -> AsyncIterator[tuple[str, asyncio.Future[Mapping[str, str]]]]:
    """Listen on loopback for the browser that the provider sends back: the redirect URI, and what it will bring."""
    answer: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()

    async def come_back(request: web.Request) -> web.Response:
        # RFC 6749 §10.12: without our state, somebody else sent the browser here.
        if not secrets.compare_digest(request.query.get("state", "").encode(), state.encode()):
            return _page("This is not the answer that mdnwatch waits for.", 400)
        if not answer.done():
            answer.set_result(dict(request.query))
        if "code" in request.query:
            return _page("mdnwatch has the provider's answer. You may close this window.", 200)
        return _page(f"The provider gave no access: {_reason(request.query)}", 200)

    application = web.Application()
    application.router.add_get("/", come_back)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            raise MdnwatchError(f"port {port} on 127.0.0.1: {error.strerror}: choose another with --port") from None
        host = settings.known.redirect_host if settings.known is not None else "127.0.0.1"
        yield f"http://{host}:{runner.addresses[0][1]}", answer
    finally:
        await runner.cleanup()


def _page(words: str, status: int) -> web.Response:
    # RFC 9700 §4.2.4: the URL holds the code, which is nobody else's.
    headers = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    text = f"<!doctype html><title>mdnwatch</title><p>{escape(words)}</p>"
    return web.Response(text=text, content_type="text/html", status=status, headers=headers)


def _reason(given: Mapping[str, str]) -> str:
    """RFC 6749 §4.1.2.1."""
    return clean(": ".join(given[name] for name in ("error", "error_description") if given.get(name)), 300)


async def on_device(settings: OAuthSettings, endpoint: TokenEndpoint, *, show: Callable[[str, str], None]) -> Tokens:
    """The device code (RFC 8628): `show` gets the URL to be opened anywhere, and the code to type there.

    Raises OAuthError.
    """
    answer = await endpoint.post(settings.device_url or "", endpoint.scope)
    try:
        device_code, code = str(answer["device_code"]), str(answer["user_code"])
        # Some providers still use the name of an early draft.
        url = str(answer.get("verification_uri") or answer["verification_url"])
        pause, left = float(answer.get("interval", POLL_SECONDS)), float(answer["expires_in"])
    except (KeyError, TypeError, ValueError):
        raise OAuthError(f"{settings.device_url} gave no device code") from None
    show(clean(url), clean(code))
    try:
        async with asyncio.timeout(left):
            return await _polled(endpoint, device_code, pause)
    except TimeoutError:
        raise OAuthError("the code has expired, and nobody had typed it: begin again") from None


async def _polled(endpoint: TokenEndpoint, device_code: str, pause: float) -> Tokens:
    while True:
        await asyncio.sleep(pause)
        try:
            return await endpoint.tokens({"grant_type": DEVICE_GRANT, "device_code": device_code})
        except OAuthError as error:
            # RFC 8628 §3.5.
            if error.code == "slow_down":
                pause += SLOWER_SECONDS
            elif error.code in DENIED:
                raise GrantRevoked("access was denied", error.code) from None
            elif error.code == "expired_token":
                raise OAuthError("the code has expired, and nobody had typed it: begin again", error.code) from None
            elif error.code and error.code != "authorization_pending":
                raise
            elif not error.code:
                # RFC 8628 §3.5: after a failure of the connection, ask more rarely.
                pause *= 2
