"""Tokens from a provider of the tests' own: by each grant, renewed, refused; and how they are kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession
from servers.oauth_provider import SECRET, USER, Provider, provider
from yarl import URL

from mdnwatch import oauth_flows
from mdnwatch.errors import MdnwatchError
from mdnwatch.oauth import ClientRefused, GrantRevoked, OAuthError, TokenEndpoint, Tokens
from mdnwatch.oauth_settings import OAuthSettings
from mdnwatch.oauth_tokens import TokenFile, TokensUnusable


@pytest.fixture
def one() -> Iterator[Provider]:
    with provider() as running:
        yield running


def settings(one: Provider, grant: str, **others: object) -> OAuthSettings:
    return OAuthSettings.model_validate(one.settings(grant, **others))


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def endpoint_of(one: OAuthSettings) -> AsyncIterator[TokenEndpoint]:
    async with TokenEndpoint.open(one, now) as endpoint:
        yield endpoint


async def in_browser(one: OAuthSettings, visits: list[tuple[int, str]] | None = None) -> Tokens:
    """Log in with a browser that follows where the provider sends it."""
    tasks = []

    async def visit(url: str) -> None:
        async with ClientSession() as browser, browser.get(url) as page:
            if visits is not None:
                visits.append((page.status, await page.text()))

    async with endpoint_of(one) as endpoint:
        return await oauth_flows.in_browser(
            one, endpoint, USER, port=0, show=lambda url: tasks.append(asyncio.create_task(visit(url)))
        )


@pytest.mark.asyncio
async def test_a_browser_on_this_machine_brings_tokens_that_can_be_renewed(one: Provider) -> None:
    consent = settings(one, "authorization_code")
    visits: list[tuple[int, str]] = []
    tokens = await in_browser(consent, visits)
    assert tokens.access_token in one.access
    assert tokens.expires_at is not None
    assert timedelta(minutes=59) < tokens.expires_at - now() <= timedelta(hours=1)
    async with endpoint_of(consent) as endpoint:
        renewed = await endpoint.refreshed(tokens)
        assert renewed.access_token != tokens.access_token
        assert renewed.refresh_token not in {None, tokens.refresh_token}
        with pytest.raises(GrantRevoked, match="expired or revoked"):
            await endpoint.refreshed(tokens)
    assert one.grants == ["authorization_code", "refresh_token"]


@pytest.mark.asyncio
async def test_whoever_comes_to_the_port_without_our_state_is_sent_away(one: Provider) -> None:
    consent, told = settings(one, "authorization_code"), asyncio.Event()
    seen: list[str] = []

    def show(url: str) -> None:
        seen.append(url)
        told.set()

    async with endpoint_of(consent) as endpoint:
        login = asyncio.create_task(oauth_flows.in_browser(consent, endpoint, USER, port=0, show=show))
        await told.wait()
        asked = URL(seen[0])
        assert asked.query["login_hint"] == USER
        back = URL(asked.query["redirect_uri"])
        assert back.host == "127.0.0.1"
        async with ClientSession() as browser:
            async with browser.get(back.update_query(code="forged", state="guessed")) as page:
                assert page.status == 400
            async with browser.get(asked) as page:
                assert "You may close this window" in await page.text()
        assert (await login).access_token in one.access


@pytest.mark.asyncio
async def test_somebody_who_does_not_consent_is_told(one: Provider) -> None:
    one.consents = False
    with pytest.raises(GrantRevoked, match="access_denied"):
        await in_browser(settings(one, "authorization_code"))
    with pytest.raises(GrantRevoked, match="access was denied"):
        await on_device(settings(one, "device_code"))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "host", "parameters"),
    [("google", "127.0.0.1", {"access_type": "offline", "prompt": "consent"}), ("microsoft", "localhost", {})],
)
async def test_known_providers_are_asked_as_their_documentation_says(
    one: Provider, name: str, host: str, parameters: dict[str, str]
) -> None:
    urls = {"authorization_url": one.url("authorization"), "token_url": one.url("token")}
    table = {"provider": name, "grant": "authorization_code", "client_id": "mdnwatch-tests", "client_secret": SECRET}
    consent = OAuthSettings.model_validate({**table, **urls})
    tokens = await in_browser(consent)
    (asked,) = one.visits
    assert URL(asked["redirect_uri"]).host == host
    assert parameters.items() <= asked.items()
    assert asked["scope"] == " ".join(consent.scopes)
    async with endpoint_of(consent) as endpoint:
        assert (await endpoint.refreshed(tokens)).access_token in one.access


async def on_device(one: OAuthSettings) -> Tokens:
    seen: list[tuple[str, str]] = []
    async with endpoint_of(one) as endpoint:
        tokens = await oauth_flows.on_device(one, endpoint, show=lambda url, code: seen.append((url, code)))
    assert [code for _, code in seen] == ["WDJB-MJHT"]
    assert seen[0][0].endswith("/activate")
    return tokens


@pytest.mark.asyncio
async def test_a_device_waits_for_consent_and_asks_more_rarely_when_told_to(
    one: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth_flows, "SLOWER_SECONDS", 0.3)
    one.device_polls = ["authorization_pending", "slow_down", "authorization_pending"]
    assert (await on_device(settings(one, "device_code"))).access_token in one.access
    pauses = [later - earlier for earlier, later in zip(one.asked, one.asked[1:], strict=False)]
    assert len(pauses) == 3
    assert min(pauses[1:]) >= 0.35


@pytest.mark.asyncio
async def test_a_device_code_that_nobody_types_expires(one: Provider) -> None:
    one.device_polls = ["authorization_pending", "expired_token"]
    with pytest.raises(OAuthError, match="begin again"):
        await on_device(settings(one, "device_code"))


@pytest.mark.asyncio
async def test_microsofts_word_for_a_denial_is_understood(one: Provider) -> None:
    one.device_polls = ["authorization_declined"]
    with pytest.raises(GrantRevoked, match="access was denied"):
        await on_device(settings(one, "device_code"))


@pytest.mark.asyncio
async def test_a_client_without_a_secret_is_public() -> None:
    with provider(client_secret=None) as one:
        assert (await in_browser(settings(one, "authorization_code"))).refresh_token in one.refresh


@pytest.mark.asyncio
async def test_a_refresh_token_that_stays_good_is_kept(one: Provider) -> None:
    one.rotates = False
    consent = settings(one, "authorization_code")
    tokens = await in_browser(consent)
    async with endpoint_of(consent) as endpoint:
        assert (await endpoint.refreshed(tokens)).refresh_token == tokens.refresh_token


@pytest.mark.asyncio
async def test_a_wrong_secret_is_a_matter_of_the_configuration_and_is_shown_nowhere(one: Provider) -> None:
    async with endpoint_of(settings(one, "client_credentials", client_secret="wrong-hunter2")) as endpoint:
        with pytest.raises(ClientRefused, match=r"invalid_client.*check \[accounts.oauth\]") as caught:
            await endpoint.of_client()
    assert "hunter2" not in str(caught.value)
    async with endpoint_of(settings(one, "client_credentials")) as endpoint:
        assert (await endpoint.of_client()).refresh_token is None


@pytest.mark.asyncio
async def test_what_the_provider_repeats_of_a_secret_is_not_told(one: Provider) -> None:
    consent = settings(one, "authorization_code")
    tokens = await in_browser(consent)
    one.revoke()
    async with endpoint_of(consent) as endpoint:
        with pytest.raises(GrantRevoked, match="Token … has been") as caught:
            await endpoint.refreshed(tokens)
    assert str(tokens.refresh_token) not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert tokens.access_token not in repr(tokens)


@pytest.mark.asyncio
async def test_a_provider_that_is_out_of_order_says_nothing_about_the_grant(one: Provider) -> None:
    one.broken = True
    async with endpoint_of(settings(one, "client_credentials")) as endpoint:
        with pytest.raises(OAuthError, match="HTTP 503") as caught:
            await endpoint.of_client()
    assert type(caught.value) is OAuthError
    nowhere = settings(one, "client_credentials", token_url="http://127.0.0.1:1/token")
    async with endpoint_of(nowhere) as endpoint:
        with pytest.raises(OAuthError, match=r"no connection to 127\.0\.0\.1"):
            await endpoint.of_client()


def test_tokens_are_kept_for_their_owner_only_under_any_name(tmp_path: Path) -> None:
    tokens = Tokens("a", "r", datetime(2026, 11, 24, 20, 0, tzinfo=UTC))
    for name in ("sales", "../etc/passwd", "größer/als", ".."):
        file = TokenFile(tmp_path, name)
        assert file.load() is None
        file.save(tokens)
        assert file.load() == tokens
        assert file.path.parent == tmp_path / "oauth"
        assert file.path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "oauth").stat().st_mode & 0o777 == 0o700
    assert len(list((tmp_path / "oauth").iterdir())) == 4


NO_TOKENS = (
    "",
    "[]",
    "{}",
    '{"access_token": "a\\n"}',
    '{"access_token": "a", "expires_at": "x"}',
    '{"access_token": "a", "expires_at": 1}',
    '{"access_token": "a", "expires_at": "2026-11-24T20:00:00"}',
)


@pytest.mark.parametrize("text", NO_TOKENS)
def test_a_file_that_holds_no_tokens_is_named(tmp_path: Path, text: str) -> None:
    file = TokenFile(tmp_path, "sales")
    file.save(Tokens("a"))
    file.path.write_text(text)
    with pytest.raises(TokensUnusable, match="log in again"):
        file.load()


@pytest.mark.asyncio
async def test_two_never_renew_the_same_tokens_at_a_time(tmp_path: Path) -> None:
    inside, most = 0, 0

    async def hold() -> None:
        nonlocal inside, most
        async with TokenFile(tmp_path, "sales").locked():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(hold() for _ in range(5)))
    assert most == 1


def test_a_link_in_the_place_of_the_lock_leads_nowhere(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "oauth").mkdir()
    (tmp_path / "oauth" / "sales.lock").symlink_to(target)

    async def lock() -> None:
        async with TokenFile(tmp_path, "sales").locked():
            raise AssertionError

    with pytest.raises(MdnwatchError, match=r"sales\.lock"):
        asyncio.run(lock())
    assert not target.exists()


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"provider": "google", "client_secret": "s"}, ("authorization_code", "https://oauth2.googleapis.com/token")),
        ({"provider": "microsoft"}, ("device_code", "https://login.microsoftonline.com/common/oauth2/v2.0/token")),
        (
            {"provider": "microsoft", "grant": "client_credentials", "tenant": "t.example", "client_secret": "s"},
            ("client_credentials", "https://login.microsoftonline.com/t.example/oauth2/v2.0/token"),
        ),
    ],
)
def test_the_urls_of_providers_are_known(table: dict[str, object], expected: tuple[str, str]) -> None:
    one = OAuthSettings.model_validate({"client_id": "c", **table})
    assert (one.grant, one.token_url) == expected
    assert one.scopes


def test_tokens_survive_their_file() -> None:
    tokens = Tokens("a", None, None)
    assert Tokens.from_json(tokens.to_json()) == tokens
    assert "\n" not in tokens.to_json()
    assert json.loads(tokens.to_json())["refresh_token"] is None
