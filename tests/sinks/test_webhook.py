"""The webhook sink against a real receiver: signed as Standard Webhooks asks, every answer judged as DESIGN.md says."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import ValidationError
from servers.receiver import OTHER_SECRET, SECRET, Answer, Receiver

from mdnwatch import __version__
from mdnwatch.errors import ConfigError
from mdnwatch.model.notification import Outcome, Outgoing, Verdict
from mdnwatch.problems import described
from mdnwatch.sinks import webhook
from mdnwatch.sinks.webhook import Webhook
from mdnwatch.sinks.webhook_settings import WebhookSettings

BODY = '{"type":"recipient.displayed","data":{"name":"Jürgen \\u2026 😀"}}'.encode()
EVENT = Outgoing("evt_1", "recipient.displayed", BODY, 1)


def now() -> datetime:
    return datetime.now(UTC)


def settings(url: str, **table: object) -> WebhookSettings:
    return WebhookSettings.model_validate(
        {"name": "crm", "url": url, "secrets": [SECRET], "allow_private": True, **table}
    )


@asynccontextmanager
async def sink(url: str, **table: object) -> AsyncIterator[Webhook]:
    made = webhook.build(settings(url, **table), now=now)
    try:
        yield made
    finally:
        await made.close()


async def outcome_of(answer: Answer) -> Outcome:
    async with Receiver() as receiver, sink(receiver.url) as crm:
        receiver.behaviour = lambda _: answer
        return await crm.send(EVENT)


@pytest.mark.asyncio
async def test_the_public_library_accepts_what_is_sent() -> None:
    async with Receiver() as receiver, sink(receiver.url) as crm:
        assert await crm.send(EVENT) == Outcome(Verdict.DELIVERED, "", 200)
    (request,) = receiver.received
    assert request.verified_by == (SECRET,)
    assert request.body == BODY
    assert request.id == "evt_1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"mdnwatch/{__version__}"


@pytest.mark.asyncio
async def test_while_a_secret_is_rotated_both_verify() -> None:
    async with Receiver(SECRET, OTHER_SECRET) as receiver, sink(receiver.url, secrets=[OTHER_SECRET, SECRET]) as crm:
        await crm.send(EVENT)
    (request,) = receiver.received
    assert request.verified_by == (SECRET, OTHER_SECRET)
    assert len(request.headers["webhook-signature"].split(" ")) == 2


@pytest.mark.asyncio
async def test_a_receiver_with_another_secret_does_not_verify() -> None:
    async with Receiver(OTHER_SECRET) as receiver, sink(receiver.url) as crm:
        await crm.send(EVENT)
    assert receiver.received[0].verified_by == ()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED),
        (202, Verdict.DELIVERED),
        (204, Verdict.DELIVERED),
        (299, Verdict.DELIVERED),
        (304, Verdict.REJECTED),
        (400, Verdict.REJECTED),
        (401, Verdict.REJECTED),
        (404, Verdict.REJECTED),
        (410, Verdict.GONE),
        (429, Verdict.UNAVAILABLE),
        (500, Verdict.REJECTED),
        (501, Verdict.REJECTED),
        (502, Verdict.UNAVAILABLE),
        (503, Verdict.UNAVAILABLE),
        (504, Verdict.UNAVAILABLE),
        (599, Verdict.REJECTED),
    ],
)
async def test_every_status_is_somebodys_fault(status: int, verdict: Verdict) -> None:
    outcome = await outcome_of(Answer(status, body=b""))
    assert (outcome.verdict, outcome.status) == (verdict, status)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_not_followed(status: int) -> None:
    async with Receiver() as receiver, sink(receiver.url) as crm:
        receiver.behaviour = lambda _: Answer(status, {"Location": receiver.url})
        outcome = await crm.send(EVENT)
    assert outcome.verdict is Verdict.REJECTED
    assert "redirects are not followed" in outcome.cause
    assert len(receiver.received) == 1


@pytest.mark.asyncio
async def test_retry_after_is_told_in_seconds_whichever_way_it_is_written() -> None:
    outcome = await outcome_of(Answer(429, {"Retry-After": "120"}))
    assert outcome.retry_after == 120
    date = format_datetime(now() + timedelta(hours=1), usegmt=True)
    outcome = await outcome_of(Answer(500, {"Retry-After": date}))
    assert outcome.retry_after == pytest.approx(3600, abs=30)
    assert (await outcome_of(Answer(503))).retry_after is None


@pytest.mark.asyncio
async def test_an_endpoint_that_is_away_is_unavailable() -> None:
    async with Receiver() as receiver, sink(receiver.url) as crm:
        await receiver.stop()
        outcome = await crm.send(EVENT)
    assert outcome.verdict is Verdict.UNAVAILABLE
    assert "Connection refused" in outcome.cause


@pytest.mark.asyncio
async def test_an_endpoint_that_is_too_slow_is_unavailable() -> None:
    async with Receiver() as receiver, sink(receiver.url, timeout="100ms") as crm:
        receiver.behaviour = lambda _: Answer(wait=asyncio.Event())
        outcome = await crm.send(EVENT)
    assert outcome == Outcome(Verdict.UNAVAILABLE, "no answer within 0.1 s")


@pytest.mark.asyncio
@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Le", b"220 smtp.example ESMTP\r\n"])
async def test_half_a_header_is_no_answer(raw: bytes) -> None:
    assert (await outcome_of(Answer(raw=raw))).verdict is Verdict.UNAVAILABLE


@pytest.mark.asyncio
async def test_a_status_counts_though_the_body_breaks_off() -> None:
    half = b"HTTP/1.1 %d X\r\nContent-Length: 100\r\n\r\nhalf"
    assert (await outcome_of(Answer(raw=half % 200))).verdict is Verdict.DELIVERED
    assert (await outcome_of(Answer(raw=half % 500))).verdict is Verdict.REJECTED


@pytest.mark.asyncio
async def test_the_servers_own_words_are_not_repeated() -> None:
    outcome = await outcome_of(Answer(raw=b"HTTP/1.1 500 \x1b[31m<script>\r\nContent-Length: 0\r\n\r\n"))
    assert outcome.cause == "HTTP 500 Internal Server Error"


@pytest.mark.asyncio
async def test_a_private_address_is_refused_with_the_cause() -> None:
    async with Receiver() as receiver:
        url = f"https://localhost:{receiver.port}/hook"
        async with sink(url, allow_private=False) as crm:
            outcome = await crm.send(EVENT)
        assert receiver.received == []
    assert outcome.verdict is Verdict.UNAVAILABLE
    assert "is a loopback address, which allow_private = true would allow" in outcome.cause


@pytest.mark.asyncio
async def test_cancelling_breaks_off_an_attempt() -> None:
    async with Receiver() as receiver, sink(receiver.url) as crm:
        receiver.behaviour = lambda _: Answer(wait=asyncio.Event())
        attempt = asyncio.create_task(crm.send(EVENT))
        await receiver.wait_for_count(1)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt


@pytest.mark.asyncio
async def test_connections_are_used_again() -> None:
    async with Receiver() as receiver, sink(receiver.url) as crm:
        for _ in range(5):
            await crm.send(EVENT)
        connector = crm._session.connector
        assert connector is not None
        assert sum(len(kept) for kept in connector._conns.values()) == 1


def problems(**table: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        WebhookSettings.model_validate({"name": "crm", "url": "https://crm.example.org/", "secrets": [SECRET], **table})
    return described(caught.value, WebhookSettings, ("sinks", 0))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("crm.example.org/hook", "must begin with https://"),
        ("ftp://crm.example.org/", "must begin with https://"),
        ("https:///hook", "must begin with https://"),
        ("https://[::1", "cannot be read"),
        ("https://crm.example.org:99999/", "cannot be read"),
        ("http://crm.example.org/", "use https, or allow_private = true"),
        ("https://user:word@crm.example.org/", "must hold no user and password"),
        ("https://10.0.0.1/", "is a private address: use a public one, or allow_private = true"),
        ("https://[::ffff:127.0.0.1]/", "is an IPv4-mapped address"),
    ],
)
def test_urls_that_cannot_work_are_told_at_once(url: str, told: str) -> None:
    (problem,) = problems(url=url)
    assert problem.startswith("sinks[0].url: ")
    assert told in problem


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/hook", "http://crm.lan/hook", "https://[fd00::1]/"])
def test_private_urls_are_allowed_on_demand(url: str) -> None:
    assert settings(url).url == url


@pytest.mark.parametrize(
    "secret",
    ["hunter2-hunter2", "whsec_***", "whsec_" + base64.b64encode(b"short").decode(), SECRET[6:]],
)
def test_secrets_that_are_none_are_refused_without_being_told(secret: str) -> None:
    (problem,) = problems(secrets=[SECRET, secret])
    assert problem.startswith('sinks[0].secrets: is no webhook secret: write "whsec_" and base64')
    assert secret not in problem
    assert secret[6:] not in problem


def test_a_sink_without_secrets_is_refused() -> None:
    assert problems(secrets=[]) == ["sinks[0].secrets: must not be empty"]


@pytest.mark.asyncio
async def test_every_secret_that_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOD", SECRET)
    monkeypatch.setenv("BAD", "not-a-secret")
    table = settings("https://crm.example.org/", secrets=[{"env": "GOOD"}, {"env": "MISSING"}, {"env": "BAD"}])
    with pytest.raises(ConfigError) as caught:
        webhook.build(table, now=now)
    assert caught.value.problems[0] == "sink crm: secrets[1]: environment variable MISSING is not set"
    assert caught.value.problems[1].startswith("sink crm: secrets[2]: is no webhook secret")
    assert "not-a-secret" not in str(caught.value)


@pytest.mark.asyncio
async def test_the_identity_tells_where_and_how_and_nothing_else() -> None:
    async with (
        sink("https://crm.example.org/a") as first,
        sink("https://crm.example.org/a", name="other", concurrency=1) as same,
        sink("https://crm.example.org/b") as moved,
        sink("https://crm.example.org/a", secrets=[OTHER_SECRET]) as rekeyed,
    ):
        assert first.identity == same.identity
        assert len({first.identity, moved.identity, rekeyed.identity}) == 3
