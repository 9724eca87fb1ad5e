"""Logins with access tokens: on a scripted server, on Dovecot, and what becomes of tokens that are refused."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from servers.dovecot import dovecot
from servers.oauth_provider import USER, Provider, provider
from servers.scripted_imap import Answer, ScriptedImap, scripted_imap
from sources.recorder import Recorder, running
from sources.scripted import make_impatient

from mdnwatch import private_file
from mdnwatch.errors import Cause, SourceError, SourceRefused
from mdnwatch.oauth import Tokens
from mdnwatch.oauth_settings import OAuthSettings
from mdnwatch.oauth_tokens import TokenFile
from mdnwatch.sources import imap
from mdnwatch.sources.base import SourceState
from mdnwatch.sources.imap_access_token import AccessToken
from mdnwatch.sources.imap_client import Client
from mdnwatch.sources.imap_credentials import credentials_of
from mdnwatch.sources.imap_login import TokenRefused
from mdnwatch.sources.imap_settings import ImapSettings

TOKEN = "ya29.a-token"
XOAUTH2 = f"user={USER}\x01auth=Bearer {TOKEN}\x01\x01"
BOTH = b"IMAP4rev1 AUTH=XOAUTH2 AUTH=OAUTHBEARER"


@pytest.fixture
def giver() -> Iterator[Provider]:
    with provider() as one:
        yield one


def settings(port: int, oauth: dict[str, object] | None = None, **others: object) -> ImapSettings:
    table = {"name": "a", "host": "127.0.0.1", "port": port, "tls": "none", "username": USER, **others}
    oauth = oauth or {"client_id": "c", "token_url": "http://127.0.0.1:1/", "client_secret": "s"}
    return ImapSettings.model_validate({**table, "oauth": oauth})


async def log_in(one: ImapSettings, token: str = TOKEN) -> None:
    client = await Client.open(one, token, None, now=lambda: datetime.now(UTC), beat=lambda: None)
    client.abort()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def oauthbearer(username: str, port: int) -> str:
    return f"n,a={username},\x01host=127.0.0.1\x01port={port}\x01auth=Bearer {TOKEN}\x01\x01"


@pytest.mark.asyncio
async def test_a_token_goes_by_oauthbearer_where_that_is_offered_and_by_xoauth2_otherwise() -> None:
    async with scripted_imap(ScriptedImap(capabilities=BOTH)) as server:
        await log_in(settings(server.port, username="a,b=c", addresses=[USER]))
        expected = encoded(oauthbearer("a=2Cb=3Dc", server.port))
        assert server.commands[1:3] == ["AUTHENTICATE OAUTHBEARER", expected]
    async with scripted_imap(ScriptedImap(capabilities=b"IMAP4rev1 SASL-IR AUTH=XOAUTH2")) as server:
        await log_in(settings(server.port))
        assert server.commands[1] == f"AUTHENTICATE XOAUTH2 {encoded(XOAUTH2)}"


@pytest.mark.asyncio
@pytest.mark.parametrize("initial_response", [b"", b" SASL-IR"])
@pytest.mark.parametrize(("mechanism", "farewell"), [(b"XOAUTH2", ""), (b"OAUTHBEARER", "AQ==")])
async def test_a_server_that_explains_a_refusal_is_answered_as_the_mechanism_says(
    mechanism: bytes, farewell: str, initial_response: bytes
) -> None:
    challenge = encoded(json.dumps({"status": "invalid_token", "scope": "mail"})).encode()
    capabilities = b"IMAP4rev1 AUTH=" + mechanism + initial_response
    async with scripted_imap(ScriptedImap(capabilities=capabilities, challenge=challenge)) as server:
        with pytest.raises(TokenRefused, match=r"refused \(invalid_token\)") as caught:
            await log_in(settings(server.port))
        assert server.commands[-1] == farewell
    assert TOKEN not in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "kind", "cause"),
    [
        (b"{tag} NO [UNAVAILABLE] Temporary authentication failure\r\n", SourceError, Cause.UNAVAILABLE),
        (b"{tag} NO [ALERT] Too many simultaneous connections.\r\n", SourceError, Cause.TOO_MANY_CONNECTIONS),
        (b"{tag} NO AUTHENTICATE failed.\r\n", TokenRefused, Cause.TOKEN_REVOKED),
        (b"+ bm8ganNvbg==\r\n{tag} NO no\r\n", TokenRefused, Cause.TOKEN_REVOKED),
        (b"+ not base64\r\n{tag} BAD no\r\n", TokenRefused, Cause.TOKEN_REVOKED),
    ],
)
async def test_a_refusal_is_about_the_token_unless_it_says_otherwise(
    answer: bytes, kind: type[SourceError], cause: Cause
) -> None:
    async with scripted_imap(ScriptedImap({"AUTHENTICATE": answer}, capabilities=BOTH)) as server:
        with pytest.raises(SourceError) as caught:
            await log_in(settings(server.port))
    assert (type(caught.value), caught.value.cause) == (kind, cause)


@pytest.mark.asyncio
async def test_a_server_that_takes_no_tokens_is_sent_none() -> None:
    async with scripted_imap(ScriptedImap()) as server:
        with pytest.raises(SourceRefused, match="neither AUTH=OAUTHBEARER nor AUTH=XOAUTH2"):
            await log_in(settings(server.port))
        assert server.commands == ["CAPABILITY"]


@pytest.mark.servers
@pytest.mark.asyncio
@pytest.mark.parametrize(("mechanism", "status"), [("xoauth2", "401"), ("oauthbearer", "invalid_token")])
async def test_dovecot_takes_and_refuses_tokens(giver: Provider, mechanism: str, status: str) -> None:
    giver.access[TOKEN] = threading.TIMEOUT_MAX
    with dovecot(introspection_url=giver.url("introspection"), sasl=mechanism) as server:
        await log_in(settings(server.port))
        with pytest.raises(TokenRefused, match=f"Authentication failed.*{status}"):
            await log_in(settings(server.port), "stolen")
        assert f"method={mechanism.upper()}" in server.log()


class Accepting:
    """An IMAP server that takes the access tokens of a provider."""

    def __init__(self, giver: Provider) -> None:
        self.giver = giver
        self.refusing = False
        self.tokens: list[str] = []

    def answer(self, words: str) -> Answer | None:
        token = base64.b64decode(words.split()[1]).decode().split("Bearer ")[1].rstrip("\x01")
        self.tokens.append(token)
        return None if token in self.giver.access and not self.refusing else b"{tag} NO no\r\n"

    def server(self) -> ScriptedImap:
        return ScriptedImap({"AUTHENTICATE": self.answer}, capabilities=b"IMAP4rev1 IDLE SASL-IR AUTH=XOAUTH2")


def logged_in(giver: Provider, state_dir: Path, left: timedelta = timedelta(hours=1)) -> Tokens:
    """Tokens as a login leaves them, the access token of which is good for so long."""
    tokens = Tokens("access-1", "refresh-1", datetime.now(UTC) + left)
    giver.access[tokens.access_token] = threading.TIMEOUT_MAX
    giver.refresh.add("refresh-1")
    TokenFile(state_dir, "a").save(tokens)
    return tokens


def watching(server: ScriptedImap, giver: Provider, recorder: Recorder) -> imap.ImapSource:
    oauth = giver.settings("authorization_code")
    quick = {"idle_renewal": "200ms", "folders": ["INBOX"], "sent": ["Sent"]}
    return imap.build(settings(server.port, oauth, **quick), recorder.context())


@pytest.mark.asyncio
async def test_a_server_that_refuses_even_a_new_token_is_asked_again_only_after_a_login(
    giver: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_impatient(monkeypatch)
    imap_server, recorder = Accepting(giver), Recorder()
    imap_server.refusing = True
    recorder.state_dir = tmp_path
    logged_in(giver, tmp_path)
    async with scripted_imap(imap_server.server()) as server:
        one = watching(server, giver, recorder)
        async with running(one):
            await recorder.until(lambda: recorder.troubles != [])
            (trouble,) = recorder.troubles
            assert trouble is not None
            assert (trouble.cause, trouble.lasting) == (Cause.TOKEN_REVOKED, True)
            # Dozens of attempts have room in this.
            beats = recorder.beats
            await recorder.until(lambda: recorder.beats > beats + 50)
            assert giver.grants == ["refresh_token"]
            assert imap_server.tokens == ["access-1", *(token for token in giver.access if token != "access-1")]
            imap_server.refusing = False
            logged_in(giver, tmp_path)
            await recorder.until(lambda: one.health().state is SourceState.UP)
    assert len(imap_server.tokens) == 3


@pytest.mark.asyncio
async def test_a_provider_that_is_out_of_order_is_asked_again_and_costs_no_connection(
    giver: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_impatient(monkeypatch)
    imap_server, recorder = Accepting(giver), Recorder()
    recorder.state_dir = tmp_path
    giver.broken = True
    logged_in(giver, tmp_path, timedelta(seconds=-1))
    async with scripted_imap(imap_server.server()) as server:
        one = watching(server, giver, recorder)
        async with running(one):
            await recorder.until(lambda: len(recorder.troubles) > 2)
            assert {(trouble.cause, trouble.lasting) for trouble in recorder.troubles if trouble is not None} == {
                (Cause.TOKEN_EXPIRED, False)
            }
            assert server.connections == 0
            # New ones that expire at once: each renewal asks for others, and may fail while the connection stands.
            giver.broken, giver.lifetime = False, 0.0
            await recorder.until(lambda: one.health().state is SourceState.UP)
            giver.broken = True
            await recorder.until(lambda: any(event == "token not renewed" for event, _ in recorder.logged))
            assert one.health().state is SourceState.UP
            assert server.connections == 1


def access_token(giver: Provider, state_dir: Path) -> AccessToken:
    oauth = OAuthSettings.model_validate(giver.settings("authorization_code"))
    return AccessToken("a", oauth, state_dir, lambda: datetime.now(UTC))


async def read(token: AccessToken, refused: str | None = None) -> str:
    return await token.read(lambda: None, refused=refused)


@pytest.mark.asyncio
async def test_a_token_that_is_still_good_is_used_while_the_provider_is_out_of_order(
    giver: Provider, tmp_path: Path
) -> None:
    giver.broken = True
    tokens = logged_in(giver, tmp_path, timedelta(minutes=1))
    assert await read(access_token(giver, tmp_path)) == tokens.access_token
    assert giver.requests == 1


@pytest.mark.asyncio
async def test_two_who_renew_at_once_use_the_refresh_token_once(giver: Provider, tmp_path: Path) -> None:
    giver.slow = 0.2
    logged_in(giver, tmp_path, timedelta(seconds=-1))
    found = await asyncio.gather(*(read(access_token(giver, tmp_path)) for _ in range(3)))
    assert len(set(found)) == 1
    assert giver.grants == ["refresh_token"]


@pytest.mark.asyncio
async def test_tokens_that_come_while_the_program_ends_are_kept(giver: Provider, tmp_path: Path) -> None:
    giver.slow = 0.3
    logged_in(giver, tmp_path, timedelta(seconds=-1))
    reading = asyncio.create_task(read(access_token(giver, tmp_path)))
    await Recorder().until(lambda: giver.grants != [])
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    kept = TokenFile(tmp_path, "a").load()
    assert kept is not None
    assert kept.refresh_token in giver.refresh


@pytest.mark.asyncio
@pytest.mark.parametrize("logged_in_meanwhile", [False, True])
async def test_tokens_that_cannot_be_written_are_kept_until_they_can_or_somebody_logs_in(
    *, giver: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged_in_meanwhile: bool
) -> None:
    logged_in(giver, tmp_path, timedelta(seconds=-1))
    token = access_token(giver, tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(private_file, "write", fail)
        with pytest.raises(SourceError, match="No space left") as caught:
            await read(token)
        assert caught.value.cause is Cause.NOT_STORED
    if logged_in_meanwhile:
        theirs = logged_in(giver, tmp_path)
        assert await read(token) == theirs.access_token
    assert await read(token) in giver.access
    kept = TokenFile(tmp_path, "a").load()
    assert kept is not None
    assert (kept.refresh_token in giver.refresh, kept.refresh_token == "refresh-1") == (True, logged_in_meanwhile)
    assert giver.grants == ["refresh_token"]


@pytest.mark.asyncio
async def test_client_credentials_need_no_login(giver: Provider, tmp_path: Path) -> None:
    one = settings(143, giver.settings("client_credentials"))
    token = credentials_of(one, tmp_path, lambda: datetime.now(UTC))
    first = await token.read(lambda: None)
    assert first in giver.access
    assert await token.read(lambda: None) == first
    assert await token.read(lambda: None, refused=first) != first
    assert TokenFile(tmp_path, "a").path.stat().st_mode & 0o777 == private_file.MODE
