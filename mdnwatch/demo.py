"""The main job on embedded defaults: a Maildir, recorded reports, SQLite and a webhook receiver of its own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import secrets
import shlex
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from aiohttp import web
from rich.live import Live

from mdnwatch import config as configuration
from mdnwatch import daemon, local_api
from mdnwatch.demo_board import NO_EVIDENCE, WAITING, Board, Row, View, event_line, state_lines
from mdnwatch.errors import MdnwatchError
from mdnwatch.log import configure as configure_log
from mdnwatch.mail.sent import read_sent
from mdnwatch.readiness import until_watching
from mdnwatch.sinks.webhook_keys import SYMMETRIC, key_of, signatures
from mdnwatch.toml_text import toml_text

Write = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that happens: a recorded message arrives, in the inbox or in Sent, and so many events follow.

    `waits`: the message is a report that has to wait for the copy of its own.
    """

    words: str
    mail: str
    events: int
    folder: str = "INBOX"
    waits: bool = False


SENT = ("offer.sent.eml", "tender.sent.eml", "invoice.sent.eml", "notice.sent.eml", "reminder.sent.eml")
# The message and the recipient whose receipt comes before the copy.
EARLY = ("<contract-5@mail.example>", "eva@partner.example")
SCENES = (
    Scene("Thunderbird sends a receipt: the offer was displayed", "offer.displayed.eml", 1),
    Scene("Sendmail reports on three recipients in one message: three fates", "tender.report.eml", 3),
    Scene("Postfix could not deliver the invoice yet, and goes on trying", "invoice.delayed.eml", 1),
    Scene("A Sieve script refuses the notice; its report looks like “deleted”", "notice.refused.eml", 1),
    Scene(
        "A receipt comes before the copy of its message is in Sent: it waits", "contract.displayed.eml", 0, waits=True
    ),
    Scene("… and now the copy is there", "contract.sent.eml", 1, "Sent"),
    Scene("Postfix has delivered the invoice after all", "invoice.delivered.eml", 1),
    Scene("A receipt that is two weeks older than its message: somebody made it up", "reminder.contradicted.eml", 1),
)

CLOSING = "Silence proves nothing: “no evidence” is not “unread”."

# Everything is on this machine; whoever waits longer has found a defect.
PATIENCE_SECONDS = 30.0

LOOK_AGAIN_SECONDS = 0.02

# Long enough to read a line and see what changes; eight scenes take about ten seconds.
SCENE_SECONDS = 1.25


class Stage:
    """Where the demo plays: a directory with a Maildir, a database and a configuration, and what is to be seen."""

    def __init__(self, home: Path, show: Callable[[Board, str], None]) -> None:
        self.home = home
        self.board = Board()
        self._show = show
        self._secret = SYMMETRIC + base64.b64encode(secrets.token_bytes(24)).decode()
        self._changed = asyncio.Event()
        self._words = ""

    @property
    def maildir(self) -> Path:
        """The mailbox that is watched."""
        return self.home / "Maildir"

    def show(self, words: str | None = None) -> None:
        """Let it be seen; `words` say what happens from now on."""
        self._words = words or self._words
        self._show(self.board, self._words)

    def deliver(self, folder: str, name: str) -> None:
        """As a delivery agent does it: written to tmp, then renamed into new."""
        path = self.maildir if folder == "INBOX" else self.maildir / f".{folder}"
        (path / "tmp" / name).write_bytes(_recorded(name))
        (path / "tmp" / name).rename(path / "new" / name)

    async def receive(self, request: web.Request) -> web.Response:
        """A webhook receiver that checks every signature, as a user's would."""
        body = await request.read()
        identifier, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        expected = signatures([key_of(self._secret)], identifier, int(at), body)
        if not hmac.compare_digest(expected, request.headers["webhook-signature"]):
            return web.Response(status=401)
        event = json.loads(body)
        if any(known["data"]["id"] == identifier for known in self.board.received):
            return web.Response(status=204)
        self.board.take(event)
        name = f"{len(self.board.received)}-{event['type']}.json"
        (self.home / "webhooks" / name).write_bytes(body)
        self.show()
        self._changed.set()
        return web.Response(status=204)

    async def until_received(self, count: int) -> None:
        """Wait for so many webhooks in all."""
        while len(self.board.received) < count:
            self._changed.clear()
            await self._changed.wait()

    def set_up(self, url: str) -> configuration.Config:
        """Make the directories and the configuration, with its webhook at `url`; put up what was sent."""
        for folder in (self.maildir, self.maildir / ".Sent"):
            for name in ("cur", "new", "tmp"):
                (folder / name).mkdir(parents=True)
        (self.home / "webhooks").mkdir()
        path = self.home / "config.toml"
        path.touch(0o600)
        path.write_text(toml_text(_document(self.home, self.maildir, url, self._secret)), "utf-8")
        for name in SENT:
            self.deliver("Sent", name)
            for row in _rows_of(name):
                self.board.put(row)
        return configuration.load(path)


async def run(*, plain: bool, keep: Path | None = None) -> None:
    """Play the whole line once: a live table on a terminal, lines everywhere else.

    Raises MdnwatchError when it does not come through.
    """
    # What the daemon logs is for operators; the demo is for people.
    configure_log(level="error")
    with _home(keep) as home:
        if plain or not sys.stdout.isatty():
            board = await play(home, _lines(print))
            print("\n".join(["", *state_lines(board)]))  # noqa: T201 - what the command is for
        else:
            board = await _play_live(home)
        print(summary(board))  # noqa: T201 - the same
        if keep is not None:
            print("\n".join(what_to_try(keep)))  # noqa: T201 - the same


def summary(board: Board) -> str:
    """The last line."""
    return f"{len(board.received)} signed webhooks received, each signature verified"


def what_to_try(home: Path) -> Iterator[str]:
    """The commands for somebody who wants to look at what is left."""
    yield f"\nEverything is left in {home}. Try next:"
    home = Path(shlex.quote(str(home)))
    config, command = f"--config {home / 'config.toml'}", shlex.quote(_command())
    yield f"  {command} status {config}"
    yield f"  {command} explain ghost@builder.example {config}"
    yield f"  {command} log --where summary=failed {home / 'events.jsonl'}"
    yield f"  {command} parse {home / 'Maildir'}"
    yield f"  ls {home / 'webhooks'}"


def _command() -> str:
    """How this command is called here: as it was called now, unless its name alone finds it."""
    called = Path(sys.argv[0]).absolute()
    found = shutil.which(called.name)
    return called.name if found and Path(found).samefile(called) else str(called)


@contextlib.contextmanager
def _home(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="mdnwatch-demo-") as directory:
            yield Path(directory)
        return
    try:
        keep.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise MdnwatchError(f"{keep} is not empty: name a new directory")
    except OSError as error:
        raise MdnwatchError(f"{keep}: {error.strerror}") from None
    yield keep.absolute()


def _lines(write: Write) -> Callable[[Board, str], None]:
    """A line for each scene and each webhook."""
    told, last = 0, ""

    def show(board: Board, words: str) -> None:
        nonlocal told, last
        if words != last:
            write(words)
        for event in board.received[told:]:
            write(f"  {event_line(event)}")
        told, last = len(board.received), words

    return show


async def _play_live(home: Path) -> Board:
    with Live(refresh_per_second=10) as live:

        def show(board: Board, words: str) -> None:
            live.update(View(board, words, busy=True))

        board = await play(home, show, pace=SCENE_SECONDS)
        live.update(View(board, CLOSING))
    return board


async def play(home: Path, show: Callable[[Board, str], None], *, pace: float = 0) -> Board:
    """Play all scenes in an empty directory, each for at least `pace` seconds; the board as it is in the end.

    `show` is called at every change. Raises MdnwatchError when it does not come through.
    """
    stage = Stage(home, show)
    async with _served(stage) as url:
        config = stage.set_up(url)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(daemon.run_until(stop, config))
            try:
                await _play(stage, config, pace)
            finally:
                stop.set()
    return stage.board


async def _play(stage: Stage, config: configuration.Config, pace: float) -> None:
    expected = 0
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            stage.show(f"{len(SENT)} messages were sent; mdnwatch learns of them from the Sent folder")
            # What lies in the inbox before the watch begins is none of the daemon's business.
            await until_watching(config)
        for scene in SCENES:
            expected += scene.events
            async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(pace))
                await _perform(stage, scene, config, expected)
        await _confirm(stage.board, config)
    except TimeoutError:
        problem = f"{len(stage.board.received)} of {expected} webhooks within {PATIENCE_SECONDS:.0f} s"
        raise MdnwatchError(f"the demo did not come through: {problem}") from None


async def _perform(stage: Stage, scene: Scene, config: configuration.Config, expected: int) -> None:
    stage.show(scene.words)
    stage.deliver(scene.folder, scene.mail)
    if scene.waits:
        await _until_waiting(config)
        stage.board.put(Row(*EARLY, subject="", state=WAITING, why="a receipt came", trust="kept for its message"))
        stage.show()
    await stage.until_received(expected)


async def _until_waiting(config: configuration.Config) -> None:
    facts: Mapping[str, Any] = {}
    while not facts.get("waiting_reports"):
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        facts = await _ask(config, EARLY[0])


async def _confirm(board: Board, config: configuration.Config) -> None:
    """What the webhooks told has to be what the daemon knows."""
    for row in board.rows.values():
        messages = (await _ask(config, row.message_id)).get("messages", ())
        known = {one["address"]: one["summary"] for message in messages for one in message["recipients"]}
        state = known.get(row.address)
        if state != ("unknown" if row.state == NO_EVIDENCE else row.state):
            raise MdnwatchError(f"the demo did not come through: {row.address} is {state}, not {row.state}")


async def _ask(config: configuration.Config, message_id: str) -> Mapping[str, Any]:
    """What `mdnwatch status MESSAGE-ID` tells, asked of the running daemon."""
    question = {"command": "status", "query": message_id}
    return await asyncio.to_thread(local_api.ask, config.socket, question) or {}


@contextlib.asynccontextmanager
async def _served(stage: Stage) -> AsyncIterator[str]:
    """The receiver on a free port of the loopback interface; its URL."""
    application = web.Application()
    application.router.add_post("/", stage.receive)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def _document(home: Path, maildir: Path, url: str, secret: str) -> dict[str, Any]:
    account = {
        "name": "demo",
        "kind": "maildir",
        "path": maildir,
        "addresses": ["alice@mail.example"],
        # A demo is watched by somebody who waits.
        "poll_interval": "50ms",
    }
    # What the table shows; that a message is settled stands in none of its rows.
    told = {"events": ["recipient.*", "report.*"]}
    webhook = {"kind": "webhook", "name": "receiver", "url": url, "secrets": [secret], "allow_private": True, **told}
    log = {"kind": "log", "name": "events", "path": home / "events.jsonl", **told}
    return {"state_dir": home / "state", "runtime_dir": home, "accounts": [account], "sinks": [webhook, log]}


def _rows_of(name: str) -> Iterator[Row]:
    message = read_sent(_recorded(name), "demo")
    if message is not None:
        yield from (Row(message.message_id, address, message.subject) for address in message.recipients)


def _recorded(name: str) -> bytes:
    return resources.files("mdnwatch.demo_mail").joinpath(name).read_bytes()
