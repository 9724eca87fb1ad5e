"""The main job on embedded defaults: a Maildir, recorded reports, SQLite and a webhook receiver of its own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from aiohttp import web

from mdnwatch import config as configuration
from mdnwatch import daemon, local_api
from mdnwatch.errors import MdnwatchError
from mdnwatch.log import configure as configure_log
from mdnwatch.sinks.webhook import signatures
from mdnwatch.sources.base import SourceState

Write = Callable[[str], None]

# The recorded mail, in the order of its arrival: a copy in Sent, then the report about it.
SENT = ("displayed.sent.eml", "failed.sent.eml")
REPORTS = ("displayed.report.eml", "failed.report.eml")

# One display, two failures of one report.
EXPECTED_EVENTS = 3

# Everything is on this machine; whoever waits longer has found a defect.
PATIENCE_SECONDS = 30.0

LOOK_AGAIN_SECONDS = 0.05

MESSAGE_IDS = ("<3e425d8227544193.TBmanual@mail.example>", "<63710b99b0724c11.SMmix@mail.example>")


@dataclass(slots=True)
class _Receiver:
    """A webhook receiver that checks every signature, as a user's would."""

    secret: bytes
    write: Write
    received: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    all_here: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        identifier, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        expected = signatures([hmac.new(self.secret, digestmod="sha256")], identifier, int(at), body)
        if not hmac.compare_digest(expected, request.headers["webhook-signature"]):
            return web.Response(status=401)
        event = json.loads(body)
        self.received[identifier] = event
        self.write(_event_line(event))
        if len(self.received) >= EXPECTED_EVENTS:
            self.all_here.set()
        return web.Response(status=204)


async def run(*, plain: bool, write: Write = print) -> None:  # noqa: ARG001 - the live table is yet to come
    """Play the whole line once, and write what happens, a line each.

    Raises MdnwatchError when it does not come through.
    """
    # What the daemon logs is for operators; the demo is for people.
    configure_log(level="error")
    with tempfile.TemporaryDirectory(prefix="mdnwatch-demo-") as directory:
        home = Path(directory)
        maildir = _make_maildir(home / "Maildir")
        receiver = _Receiver(secrets.token_bytes(24), write)
        async with _served(receiver) as url:
            config = configuration.build(_document(home, maildir, url, receiver.secret))
            write(f"sent: {len(SENT)} messages, their copies in {maildir / '.Sent'}")
            for name in SENT:
                _deliver(maildir / ".Sent", name)
            await _watch(config, maildir, receiver, write)
    write(f"{len(receiver.received)} signed webhooks received, each signature verified")


async def _watch(config: configuration.Config, maildir: Path, receiver: _Receiver, write: Write) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(daemon.run_until(stop, config, ready.set))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await ready.wait()
                await _until_watching(config)
                write("the daemon watches; now the reports arrive: Thunderbird's receipt, Sendmail's bounce")
                for name in REPORTS:
                    _deliver(maildir, name)
                await receiver.all_here.wait()
                write("")
                for message_id in MESSAGE_IDS:
                    await _write_states(config, message_id, write)
        except TimeoutError:
            problem = f"{len(receiver.received)} of {EXPECTED_EVENTS} webhooks within {PATIENCE_SECONDS:.0f} s"
            raise MdnwatchError(f"the demo did not come through: {problem}") from None
        finally:
            stop.set()


async def _until_watching(config: configuration.Config) -> None:
    """What lies in the inbox before the watch begins is none of the daemon's business, so nothing may come earlier."""
    while True:
        facts = await asyncio.to_thread(local_api.ask, config.socket, {"command": "status"}) or {}
        if all(account["state"] == SourceState.UP for account in facts.get("accounts", ())):
            return
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _write_states(config: configuration.Config, message_id: str, write: Write) -> None:
    """What `mdnwatch status MESSAGE-ID` tells, asked of the running daemon."""
    question = {"command": "status", "query": message_id}
    facts = await asyncio.to_thread(local_api.ask, config.socket, question) or {}
    for message in facts.get("messages", ()):
        write(f"{message['subject']}")
        for recipient in message["recipients"]:
            summary = recipient["summary"] if recipient["evidence"] else "no evidence (which is not “unread”)"
            write(f"  {recipient['address']}: {summary}")


def _event_line(event: Mapping[str, Any]) -> str:
    data = event["data"]
    recipient, fields = data["recipient"], data["evidence"].get("fields", {})
    because = fields.get("diagnostic_code") or f"{fields.get('reportingUA', 'its mail program')} says so"
    trust = f"matched by {data['correlation']['rung']}, {data['authenticity']['grade']}"
    return f"webhook {event['type']}: {recipient['address']} is now {recipient['summary']} ({because}; {trust})"


@contextlib.asynccontextmanager
async def _served(receiver: _Receiver) -> AsyncIterator[str]:
    """The receiver on a free port of the loopback interface; its URL."""
    application = web.Application()
    application.router.add_post("/", receiver.receive)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def _document(home: Path, maildir: Path, url: str, secret: bytes) -> dict[str, Any]:
    """The configuration of the demo, as a file would hold it."""
    return {
        "state_dir": str(home / "state"),
        "runtime_dir": str(home),
        "accounts": [
            {
                "name": "demo",
                "kind": "maildir",
                "path": str(maildir),
                "addresses": ["alice@mail.example"],
                "folders": ["INBOX"],
                "sent": ["Sent"],
            }
        ],
        "sinks": [
            {
                "kind": "webhook",
                "name": "receiver",
                "url": url,
                "secrets": [f"whsec_{base64.b64encode(secret).decode()}"],
                "allow_private": True,
            }
        ],
    }


def _make_maildir(path: Path) -> Path:
    for folder in (path, path / ".Sent"):
        for name in ("cur", "new", "tmp"):
            (folder / name).mkdir(parents=True)
    return path


def _deliver(folder: Path, name: str) -> None:
    """As an MDA does it: written to tmp, then renamed into new."""
    data = resources.files("mdnwatch.demo_mail").joinpath(name).read_bytes()
    (folder / "tmp" / name).write_bytes(data)
    (folder / "tmp" / name).rename(folder / "new" / name)
