"""The address guard refuses what it should, at the moment of connecting, and nothing leaks into requests."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from servers.receiver import Answer, Receiver
from servers.resolver import FixedResolver

from mdnwatch.http_client import (
    DRAIN_BYTES,
    ThreadResolver,
    cause_of,
    drain,
    open_session,
    refusal,
    retry_after_seconds,
)

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def not_found(*_: object, **__: object) -> object:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("0.0.0.0", "unspecified"),  # noqa: S104 - nothing is bound
        ("10.1.2.3", "private"),
        ("100.64.0.1", "shared"),
        ("100.127.255.254", "shared"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("169.254.169.254", "link-local"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("198.18.0.1", "benchmarking"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::7f00:1", "reserved"),
        ("::ffff:127.0.0.1", "mapped"),
        ("::ffff:8.8.8.8", "mapped"),
        ("64:ff9b::7f00:1", "NAT64"),
        ("64:ff9b:1::1", "NAT64"),
        ("fd00::1", "private"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fec0::1", "reserved"),
        ("ff02::1", "multicast"),
        ("2001::1", "reserved"),
        ("2002:7f00:1::", "6to4"),
        ("crm.example.org", "no IP address"),
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str, what: str) -> None:
    assert what in (refusal(address) or "allowed")


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "193.0.0.1", "2606:4700::1111", "2a00::1"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "0x7f.1", "0x7f000001", "2130706433", "127.1", "0177.0.0.1", "[::ffff:127.0.0.1]"],
)
async def test_no_way_of_writing_loopback_gets_past_the_guard(host: str) -> None:
    async with Receiver() as receiver, open_session(concurrency=1, guard=refusal) as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(f"http://{host}:{receiver.port}/hook")
        assert receiver.received == []


@pytest.mark.asyncio
async def test_the_cause_names_the_address_and_the_way_out() -> None:
    async with open_session(concurrency=1, guard=refusal, resolver=FixedResolver("10.0.0.1")) as session:
        with pytest.raises(aiohttp.ClientError) as caught:
            await session.post("https://crm.example.org/hook")
    assert cause_of(caught.value) == (
        "no connection to crm.example.org, port 443: "
        "10.0.0.1 is a private address, which allow_private = true would allow"
    )


@pytest.mark.asyncio
async def test_of_mixed_addresses_only_the_refused_ones_are_left_out() -> None:
    asked = []

    def guard(address: str) -> str | None:
        asked.append(address)
        return None if address == "127.0.0.1" else "a private address"

    resolver = FixedResolver("127.0.0.2", "10.0.0.1", "127.0.0.1", "fd00::1")
    async with (
        Receiver() as receiver,
        open_session(concurrency=1, guard=guard, resolver=resolver) as session,
        session.post(f"http://crm.example.org:{receiver.port}/hook") as response,
    ):
        assert response.status == 200
    assert "127.0.0.2" in asked
    assert len(receiver.received) == 1


@pytest.mark.asyncio
async def test_a_guard_that_allows_everything_is_asked_for_by_name() -> None:
    async with (
        Receiver() as receiver,
        open_session(concurrency=1, guard=None) as session,
        session.post(receiver.url) as response,
    ):
        assert response.status == 200


@pytest.mark.asyncio
async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with (
        Receiver() as receiver,
        open_session(concurrency=1, guard=None) as session,
        session.post(receiver.url) as response,
    ):
        assert response.status == 200


@pytest.mark.asyncio
async def test_cookies_are_not_kept() -> None:
    async with Receiver() as receiver, open_session(concurrency=1, guard=None) as session:
        receiver.behaviour = lambda _: Answer(headers={"Set-Cookie": "track=1; Path=/"})
        for _ in range(2):
            # By name: no client keeps cookies of a bare address.
            async with session.post(f"http://localhost:{receiver.port}/hook") as response:
                assert "track" in response.cookies
                await drain(response)
    assert all("cookie" not in request.headers for request in receiver.received)


@pytest.mark.asyncio
async def test_a_long_answer_is_not_read_to_its_end() -> None:
    async with Receiver() as receiver, open_session(concurrency=1, guard=None) as session:
        receiver.behaviour = lambda _: Answer(body=b"x" * (50 * 1024 * 1024))
        async with session.post(receiver.url) as response:
            await drain(response)
            assert not response.content.at_eof()
            assert response.content.total_bytes < 100 * DRAIN_BYTES


@pytest.mark.asyncio
async def test_the_thread_resolver_finds_names_and_says_which_it_did_not_find(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = ThreadResolver()
    assert {found["host"] for found in await resolver.resolve("localhost", 80)} <= {"127.0.0.1", "::1"}
    with pytest.raises(OSError, match="was not found"):
        await resolver.resolve("a" * 70 + ".example", 80)
    monkeypatch.setattr(socket, "getaddrinfo", not_found)
    with pytest.raises(OSError, match=r"the name nowhere\.invalid was not found \(Name or service not known\)"):
        await resolver.resolve("nowhere.invalid", 80)


@pytest.mark.asyncio
async def test_a_name_that_hangs_does_not_hold_up_another(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    released = asyncio.Event()
    answer = socket.getaddrinfo

    def slow(host: str, *rest: object, **options: object) -> object:
        if host.startswith("slow"):
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result()
        return answer("localhost", *rest, **options)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    resolver = ThreadResolver()
    hanging = [asyncio.create_task(resolver.resolve(f"slow{number}.example")) for number in range(40)]
    async with asyncio.timeout(10):
        assert await resolver.resolve("quick.example")
    assert not any(task.done() for task in hanging)
    released.set()
    await asyncio.gather(*hanging)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        (format_datetime(NOW + timedelta(minutes=3), usegmt=True), 180.0),
        (format_datetime(NOW - timedelta(minutes=3), usegmt=True), 0.0),
        ("Monday, 23-Nov-26 09:01:00 GMT", 60.0),
        ("Mon Nov 23 09:01:00 2026", 60.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("Mon, 99 Nov 2026 09:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_every_form_of_rfc_9110(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


def test_an_endless_retry_after_is_a_number_still() -> None:
    assert retry_after_seconds("9" * 10_000, NOW) is not None


@pytest.mark.asyncio
async def test_causes_are_words_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver() as receiver, open_session(concurrency=1, guard=None) as session:
        receiver.behaviour = lambda _: Answer(raw=b"HTTP/1.1 20")
        with pytest.raises(aiohttp.ClientError) as caught:
            await session.post(receiver.url)
        assert cause_of(caught.value) == "the server closed the connection without an answer"
        await receiver.stop()
        with pytest.raises(aiohttp.ClientError) as caught:
            await session.post(receiver.url)
        assert cause_of(caught.value) == f"no connection to 127.0.0.1, port {receiver.port}: Connection refused"
        monkeypatch.setattr(socket, "getaddrinfo", not_found)
        with pytest.raises(aiohttp.ClientError) as caught:
            await session.post("https://nowhere.invalid/hook")
        assert "the name nowhere.invalid was not found" in cause_of(caught.value)
