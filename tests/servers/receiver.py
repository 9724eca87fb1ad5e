"""A webhook receiver as users write one: aiohttp, with signatures verified by the public library."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import schema_check
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four.").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another one, 24 bytes too").decode()

# A condition that does not come true by then has failed; nothing waits for it to pass.
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How to answer: with a status, or with `raw` bytes after which the connection is closed; `wait` is set first."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    raw: bytes | None = None
    wait: asyncio.Event | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """One request. `verified_by` are the secrets with which the public library accepts it."""

    id: str
    body: bytes
    headers: Mapping[str, str]
    verified_by: tuple[str, ...]


class Receiver:
    """Listens on loopback, on the same port again after a pause; answers as `behaviour` says."""

    def __init__(self, *secrets: str, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.secrets = secrets or (SECRET,)
        self.received: list[Received] = []
        self.behaviour: Callable[[Received], Answer] = lambda _: Answer()
        self.at_once = 0
        self.most_at_once = 0
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._port}/hook?a=b"

    @property
    def port(self) -> int:
        return self._port

    @property
    def ids(self) -> list[str]:
        return [request.id for request in self.received]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        application = web.Application()
        application.router.add_post("/hook", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self.tls)
        await site.start()
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def answer_in_turn(self, answers: Sequence[Answer]) -> None:
        """One answer after the other; the last one repeats."""
        left = list(answers)
        self.behaviour = lambda _: left.pop(0) if len(left) > 1 else left[0]

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Until a condition on what was received holds; it is looked at after every request."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(condition)

    async def wait_for_count(self, count: int) -> None:
        await self.wait_for(lambda: len(self.received) >= count)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            body = await request.read()
            headers = {name.lower(): value for name, value in request.headers.items()}
            received = Received(headers.get("webhook-id", ""), body, headers, self._verified_by(body, headers))
            schema_check.FOUND.extend(schema_check.faults(body))
            answer = self.behaviour(received)
            async with self._changed:
                self.received.append(received)
                self._changed.notify_all()
            if answer.wait is not None:
                await answer.wait.wait()
        finally:
            self.at_once -= 1
        if answer.raw is not None and request.transport is not None:
            request.transport.write(answer.raw)
            request.transport.close()
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    def _verified_by(self, body: bytes, headers: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(secret for secret in self.secrets if _accepts(secret, body, headers))


def _accepts(secret: str, body: bytes, headers: Mapping[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, dict(headers))
    except WebhookVerificationError:
        return False
    return True
