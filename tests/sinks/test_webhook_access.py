"""How a webhook gets in: header fields, tokens, certificates of both sides, proxies; and that the guard still holds."""

from __future__ import annotations

import base64
import contextlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError
from servers.daemon import until
from servers.dovecot import certificates
from servers.proxy import proxy
from servers.receiver import SECRET, Receiver
from servers.resolver import FixedResolver

from mdnwatch.errors import ConfigError
from mdnwatch.model.notification import Outcome, Outgoing, Verdict
from mdnwatch.problems import described
from mdnwatch.sinks import webhook
from mdnwatch.sinks.webhook import Webhook
from mdnwatch.sinks.webhook_settings import WebhookSettings

EVENT = Outgoing("evt_1", "recipient.displayed", b"{}", 1)

# Public by the look of them; no packet goes there, since the tests' proxy connects to this machine.
PUBLIC, OTHER_PUBLIC = "8.8.4.4", "2606:4700::1111"


def now() -> datetime:
    return datetime.now(UTC)


def settings(url: str, **table: object) -> WebhookSettings:
    return WebhookSettings.model_validate({"name": "crm", "url": url, "secrets": [SECRET], **table})


@asynccontextmanager
async def sink(url: str, *addresses: str, **table: object) -> AsyncIterator[Webhook]:
    """The sink; with `addresses` every name has these."""
    resolver = FixedResolver(*addresses) if addresses else None
    made = webhook.build(settings(url, **table), now=now, resolver=resolver)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def tls(tmp_path: Path) -> Path:
    """A directory with ca.pem, cert.pem and key.pem, for "localhost" and loopback."""
    certificates(tmp_path)
    return tmp_path


def server_context(tls: Path, *, asks_for_certificate: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls / "ca.pem")
    context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED if asks_for_certificate else ssl.CERT_NONE
    return context


@pytest.mark.asyncio
async def test_header_fields_and_token_come_from_their_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("k 1\n", "ascii")
    monkeypatch.setenv("TOKEN", "abc.def=")
    table = {"headers": {"X-Key": {"file": tmp_path / "key"}, "User-Agent": "ours"}, "bearer": {"env": "TOKEN"}}
    async with Receiver() as receiver, sink(receiver.url, allow_private=True, **table) as crm:
        assert (await crm.send(EVENT)).verdict is Verdict.DELIVERED
    (request,) = receiver.received
    assert (request.headers["x-key"], request.headers["authorization"]) == ("k 1", "Bearer abc.def=")
    assert request.headers["user-agent"] == "ours"
    assert request.headers["content-type"] == "application/json"
    assert request.verified_by == (SECRET,)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"headers": {"Webhook-Id": "1"}}, "headers: Webhook-Id is set by mdnwatch itself: leave it out"),
        ({"headers": {"content-length": "1"}}, "headers: content-length is set by mdnwatch itself"),
        ({"headers": {"X Key": "1"}}, 'headers: "X Key" is no name of a header field'),
        ({"headers": {"X-Key": "a\x00b"}}, "headers: holds what no header field may"),
        ({"headers": {"X-Key": {"fil": "/k"}}}, "headers.X-Key.fil: unknown key (did you mean"),
        ({"headers": {"authorization": "x"}, "bearer": "y"}, "bearer: headers holds Authorization too"),
        ({"bearer": "two words"}, "bearer: is no bearer token"),
        ({"client_key": "-----BEGIN PRIVATE KEY-----", "client_cert": "/c"}, "client_key: must be { file"),
        ({"client_key": {"file": "/k"}}, "client_key: is of no use without client_cert"),
        ({"url": "http://crm.lan/", "allow_private": True, "tls_ca": "/ca"}, "tls_ca: plain http has no certificates"),
        ({"proxy": "https://proxy.lan"}, "proxy: write it like http://proxy.example:3128"),
        ({"proxy": "proxy.lan:3128"}, "proxy: write it like"),
        ({"proxy": "http://[::1"}, "proxy: write it like"),
        ({"proxy": "http://me:word@proxy.lan"}, "proxy: name and password go into proxy_username"),
        ({"proxy": "http://proxy.lan", "proxy_username": "me"}, "proxy_username: goes with proxy_password"),
        ({"proxy_username": "me", "proxy_password": "word"}, "proxy_username: is of no use without proxy"),
    ],
)
def test_what_cannot_work_is_told_at_once(table: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookSettings.model_validate({"name": "crm", "url": "https://crm.example.org/", "secrets": [SECRET], **table})
    problems = described(caught.value, WebhookSettings)
    assert any(problem.startswith(told) for problem in problems), problems
    assert not any(word in problem for problem in problems for word in ("two words", "BEGIN", "me:word"))


@pytest.mark.asyncio
async def test_secrets_that_no_header_field_can_hold_are_told_when_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("dreißig\n", "utf-8")
    table = {"headers": {"X-Key": {"file": tmp_path / "bad"}}, "bearer": {"file": tmp_path / "bad"}}
    with pytest.raises(ConfigError) as caught:
        webhook.build(settings("https://crm.example.org/", **table), now=now)
    assert [problem.partition(" holds ")[0].partition(" is no ")[0] for problem in caught.value.problems] == [
        "sink crm: headers.X-Key:",
        "sink crm: bearer:",
    ]
    assert "dreißig" not in str(caught.value)


@pytest.mark.asyncio
async def test_a_receiver_that_asks_for_a_certificate_gets_it(tls: Path) -> None:
    async with Receiver(tls=server_context(tls, asks_for_certificate=True)) as receiver:
        common = {"allow_private": True, "tls_ca": tls / "ca.pem"}
        shown = {"client_cert": tls / "cert.pem", "client_key": {"file": tls / "key.pem"}}
        async with sink(receiver.url, **common, **shown) as crm:
            assert (await crm.send(EVENT)).verdict is Verdict.DELIVERED
        async with sink(receiver.url, **common) as crm:
            assert (await crm.send(EVENT)).verdict is Verdict.UNAVAILABLE
    assert len(receiver.received) == 1


@pytest.mark.asyncio
async def test_a_receiver_of_an_unknown_authority_gets_nothing(tls: Path) -> None:
    async with Receiver(tls=server_context(tls)) as receiver, sink(receiver.url, allow_private=True) as crm:
        outcome = await crm.send(EVENT)
        assert receiver.received == []
    assert outcome.verdict is Verdict.UNAVAILABLE
    assert outcome.cause.startswith("the server's certificate is not accepted: ")


@pytest.mark.asyncio
async def test_files_that_cannot_be_used_are_told_with_their_names(tls: Path) -> None:
    locked = serialization.load_pem_private_key((tls / "key.pem").read_bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"),
    )
    (tls / "locked.pem").write_bytes(locked)
    url, ca = "https://crm.example.org/", tls / "ca.pem"
    for table, told in (
        ({"tls_ca": tls / "none.pem"}, f"sink crm: tls_ca: {tls}/none.pem: No such file or directory"),
        ({"tls_ca": tls / "key.pem"}, f"sink crm: tls_ca: {tls}/key.pem cannot be used"),
        ({"client_cert": ca}, f"sink crm: client_cert: {ca} cannot be used"),
        ({"client_cert": tls / "cert.pem", "client_key": {"file": tls / "locked.pem"}}, "sink crm: client_cert: "),
    ):
        with pytest.raises(ConfigError) as caught:
            webhook.build(settings(url, **table), now=now)
        assert caught.value.problems[0].startswith(told)


@pytest.mark.asyncio
async def test_a_renewed_certificate_makes_another_endpoint_and_the_same_one_does_not(tls: Path) -> None:
    async with sink("https://crm.example.org/", tls_ca=tls / "ca.pem") as before:
        async with sink("https://crm.example.org/", tls_ca=tls / "ca.pem") as same:
            assert same.identity == before.identity
        certificates(tls)
        async with sink("https://crm.example.org/", tls_ca=tls / "ca.pem") as renewed:
            assert renewed.identity != before.identity


@pytest.mark.asyncio
async def test_a_proxy_is_told_the_checked_address_and_tls_asks_for_the_name(tls: Path) -> None:
    async with Receiver(tls=server_context(tls)) as receiver, proxy(receiver.port) as asked:
        table = {"proxy": asked.url, "proxy_username": "me", "proxy_password": "word", "tls_ca": tls / "ca.pem"}
        async with sink("https://localhost/hook", PUBLIC, **table) as crm:
            for _ in range(2):
                assert await crm.send(EVENT) == Outcome(Verdict.DELIVERED, "", 200)
    assert asked.asked == [f"CONNECT {PUBLIC}:443 HTTP/1.1"]
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:word').decode()}" in asked.heads[0]
    assert [request.headers["host"] for request in receiver.received] == ["localhost", "localhost"]
    assert "proxy-authorization" not in receiver.received[0].headers


@pytest.mark.asyncio
async def test_a_proxy_is_not_asked_for_an_address_that_the_guard_refuses(tls: Path) -> None:
    async with Receiver(tls=server_context(tls)) as receiver, proxy(receiver.port) as asked:
        async with sink("https://crm.example.org/", "10.0.0.1", "127.0.0.1", proxy=asked.url) as crm:
            outcome = await crm.send(EVENT)
        assert outcome == Outcome(
            Verdict.UNAVAILABLE, "127.0.0.1 is a loopback address, which allow_private = true would allow"
        )
        assert (asked.asked, receiver.received) == ([], [])
        async with sink("https://localhost/hook", "10.0.0.1", PUBLIC, proxy=asked.url, tls_ca=tls / "ca.pem") as crm:
            assert (await crm.send(EVENT)).verdict is Verdict.DELIVERED
        assert asked.asked == [f"CONNECT {PUBLIC}:443 HTTP/1.1"]


@pytest.mark.asyncio
async def test_an_address_that_the_proxy_does_not_reach_is_followed_by_the_next(tls: Path) -> None:
    async with Receiver(tls=server_context(tls)) as receiver, proxy(receiver.port) as asked:
        asked.unreachable = {f"[{OTHER_PUBLIC}]"}
        table = {"proxy": asked.url, "tls_ca": tls / "ca.pem"}
        async with sink("https://localhost:8443/hook", OTHER_PUBLIC, PUBLIC, **table) as crm:
            assert (await crm.send(EVENT)).verdict is Verdict.DELIVERED
        async with sink("https://localhost/", OTHER_PUBLIC, **table) as crm:
            assert await crm.send(EVENT) == Outcome(Verdict.UNAVAILABLE, "the proxy makes no connection: HTTP 502")
    assert receiver.received[0].headers["host"] == "localhost:8443"


@pytest.mark.asyncio
async def test_a_certificate_of_another_name_is_refused_behind_a_proxy_too(tls: Path) -> None:
    async with Receiver(tls=server_context(tls)) as receiver, proxy(receiver.port) as asked:
        async with sink("https://crm.example.org/", PUBLIC, proxy=asked.url, tls_ca=tls / "ca.pem") as crm:
            outcome = await crm.send(EVENT)
        assert "certificate is not accepted" in outcome.cause
        assert receiver.received == []


@pytest.mark.asyncio
async def test_a_proxy_that_is_away_is_said_to_be() -> None:
    async with proxy(1) as gone:
        url = gone.url
    async with sink("https://crm.example.org/", PUBLIC, proxy=url) as crm:
        assert await crm.send(EVENT) == Outcome(Verdict.UNAVAILABLE, "no connection to the proxy: Connection refused")


TINYPROXY = shutil.which("tinyproxy")


@pytest.fixture
def tinyproxy(tmp_path: Path) -> Iterator[str]:
    """The URL of Debian's tinyproxy, which connects to any port of this machine."""
    if TINYPROXY is None:
        pytest.skip("needs tinyproxy (Debian: tinyproxy-bin)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = tmp_path / "tinyproxy.conf"
    file.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nBasicAuth me word\n", "ascii")
    with subprocess.Popen([TINYPROXY, "-d", "-c", file], stdout=subprocess.DEVNULL) as process:
        until(lambda: _listens(port), "tinyproxy listens")
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@pytest.mark.asyncio
@pytest.mark.servers
@pytest.mark.parametrize("encrypted", [True, False])
async def test_a_real_proxy_lets_it_through_by_name(tls: Path, tinyproxy: str, encrypted: bool) -> None:  # noqa: FBT001 - a column
    async with Receiver(tls=server_context(tls) if encrypted else None) as receiver:
        common = {"allow_private": True, "proxy": tinyproxy, **({"tls_ca": tls / "ca.pem"} if encrypted else {})}
        url = receiver.url.replace("127.0.0.1", "localhost")
        async with sink(url, **common, proxy_username="me", proxy_password="word") as crm:
            assert (await crm.send(EVENT)).verdict is Verdict.DELIVERED
        async with sink(url, **common) as crm:
            assert (await crm.send(EVENT)).verdict is not Verdict.DELIVERED
    assert [request.headers["host"] for request in receiver.received] == [f"localhost:{receiver.port}"]
