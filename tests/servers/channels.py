"""The far end of each kind of sink: what it has taken, and every trouble it can make."""

from __future__ import annotations

import asyncio
import contextlib
import email
import json
import shutil
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from servers.background import BackgroundReceiver, receiving
from servers.daemon import table
from servers.letters import ALICE
from servers.receiver import Answer
from servers.submission import TAKEN, Submission, submission

EVENTS = ["recipient.*"]

# (recipient, what the event says of it)
Fact = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event as it came; `id` is what tells a repetition, or "" where nothing does."""

    id: str
    fact: Fact


class Channel(Protocol):
    """A sink's far end. `go_away` and `hold` last until `come_back` and `release`."""

    def sink(self, **settings: object) -> str:
        """The table of the configuration that names it."""
        ...

    def arrivals(self) -> list[Arrival]:
        """All that came, in the order in which it came."""
        ...

    def go_away(self) -> None:
        """Be no more."""
        ...

    def come_back(self) -> None:
        """Be there again."""
        ...


class Answering(Channel, Protocol):
    """One that answers: it can take an event and hold its answer back, or break off in its middle."""

    def hold(self) -> None:
        """Take what comes, and answer nothing."""
        ...

    def release(self) -> None:
        """Answer what came, and what comes."""
        ...

    def break_off(self) -> None:
        """Take what comes, and break off in the middle of each answer, until `release`."""
        ...


class WithTls(Channel, Protocol):
    """One that shows a certificate."""

    def show(self, certificates: Path) -> None:
        """Show from now on what lies in a directory of `servers.dovecot.certificates`."""
        ...


def _context(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    return context


def _arrival(event: Mapping[str, Any]) -> Arrival:
    """Of an event in mdnwatch's own JSON."""
    word = str(event["type"]).removeprefix("recipient.")
    return Arrival(event["data"]["id"], (event["data"]["recipient"]["address"], word))


class WebhookChannel:
    """A webhook's receiver."""

    def __init__(self, receiver: BackgroundReceiver) -> None:
        self._receiver = receiver
        self._answer_now = asyncio.Event()

    def sink(self, **settings: object) -> str:
        return self._receiver.sink_with(events=EVENTS, **settings)

    def arrivals(self) -> list[Arrival]:
        return [_arrival(one.event) for one in self._receiver.told]

    def go_away(self) -> None:
        self._receiver.go_away()

    def come_back(self) -> None:
        self._receiver.come_back()

    def hold(self) -> None:
        self._answer(Answer(wait=self._answer_now))

    def release(self) -> None:
        self._answer(Answer())
        self._receiver.do(self._set())

    def break_off(self) -> None:
        self._answer(Answer(raw=b"HTTP/1.1 20"))

    def show(self, certificates: Path) -> None:
        self._receiver.go_away()
        self._receiver.receiver.tls = _context(certificates)
        self._receiver.come_back()

    def _answer(self, answer: Answer) -> None:
        self._receiver.receiver.behaviour = lambda _: answer

    async def _set(self) -> None:
        self._answer_now.set()


class AppriseChannel(WebhookChannel):
    """A service of Apprise: its plainest, which POSTs title and message as JSON."""

    def sink(self, **settings: object) -> str:
        # Apprise has a setting of its own for what the system trusts, and takes it from the environment.
        settings.pop("tls_ca", None)
        url = self._receiver.receiver.url.replace("http", "json", 1)
        common = {"kind": "apprise", "name": "chat", "url": url, "events": EVENTS}
        return table("sinks", **{**common, **settings}) + '[sinks.templates]\n"*" = "$who\\n$what"\n'

    def arrivals(self) -> list[Arrival]:
        said = [json.loads(one.body) for one in list(self._receiver.receiver.received)]
        return [Arrival("", (one["title"], one["message"])) for one in said]


class EmailChannel:
    """A submission server; each event is a mail."""

    def __init__(self, server: Submission) -> None:
        self._server = server

    def sink(self, *, tls_ca: Path | None = None, **settings: object) -> str:
        common = {"kind": "email", "name": "team", "to": [ALICE], "sender": ALICE, "events": EVENTS}
        tls = f'"implicit"\ntls_ca = "{tls_ca}"' if tls_ca else '"none"'
        smtp = f'[sinks.smtp]\nhost = "127.0.0.1"\nport = {self._server.port}\ntls = {tls}\n'
        return table("sinks", **{**common, **settings}) + smtp

    def arrivals(self) -> list[Arrival]:
        mails = [email.message_from_bytes(raw) for raw in list(self._server.taken)]
        return [Arrival(mail["Message-ID"], _fact_of_subject(mail["Subject"])) for mail in mails]

    def go_away(self) -> None:
        self._server.go_away()

    def come_back(self) -> None:
        self._server.come_back()

    def hold(self) -> None:
        self._server.may_answer.clear()

    def release(self) -> None:
        self._server.answer = TAKEN
        self._server.may_answer.set()

    def break_off(self) -> None:
        self._server.answer = b"250-2.0.0 que"

    def show(self, certificates: Path) -> None:
        self._server.tls = _context(certificates)


def _fact_of_subject(subject: str) -> Fact:
    """Of "failed: bob@mail.example (Offer)"."""
    what, _, rest = subject.partition(": ")
    return rest.partition(" ")[0], what


class ExecChannel:
    """A program that keeps what it gets in a file, and then does what another file says."""

    def __init__(self, home: Path) -> None:
        self._program, self._got, self._then = home / "program", home / "got", home / "then"
        self._go = home / "go"
        self._program.write_text(f"#!/bin/sh\ncat >> {self._got}\n. {self._then}\n")
        self._program.chmod(0o700)
        self._do("exit 0")

    def sink(self, **settings: object) -> str:
        common = {"kind": "exec", "name": "told", "command": [self._program.as_posix()], "events": EVENTS}
        return table("sinks", **{**common, **settings})

    def arrivals(self) -> list[Arrival]:
        if not self._got.exists():
            return []
        return [_arrival(json.loads(line)) for line in self._got.read_bytes().split(b"\n")[:-1]]

    def go_away(self) -> None:
        self._program.rename(self._program.with_name("program.gone"))

    def come_back(self) -> None:
        self._program.with_name("program.gone").rename(self._program)

    def hold(self) -> None:
        self._do(f"while [ ! -e {self._go} ]; do sleep 0.05; done; exit 0")

    def release(self) -> None:
        self._do("exit 0")
        self._go.touch()

    def break_off(self) -> None:
        self._do("kill -9 $$")

    def _do(self, command: str) -> None:
        new = self._then.with_name("then.new")
        new.write_text(command + "\n")
        new.rename(self._then)


class LogChannel:
    """A status log in a directory of its own."""

    def __init__(self, home: Path) -> None:
        self.path = home / "logs" / "events.jsonl"
        self.come_back()

    def sink(self, **settings: object) -> str:
        return table("sinks", **{"kind": "log", "name": "log", "path": self.path, "events": EVENTS, **settings})

    def arrivals(self) -> list[Arrival]:
        if not self.path.exists():
            return []
        return [_arrival(json.loads(line)) for line in self.path.read_bytes().split(b"\n")[:-1]]

    def go_away(self) -> None:
        shutil.rmtree(self.path.parent)

    def come_back(self) -> None:
        self.path.parent.mkdir()


@contextlib.contextmanager
def channel_of(kind: str, home: Path) -> Iterator[Any]:
    """The far end of a kind of sink, which keeps its files in `home`."""
    with contextlib.ExitStack() as stack:
        match kind:
            case "webhook":
                yield WebhookChannel(stack.enter_context(receiving()))
            case "apprise":
                yield AppriseChannel(stack.enter_context(receiving()))
            case "email":
                yield EmailChannel(stack.enter_context(submission()))
            case "exec":
                yield ExecChannel(home)
            case "log":
                yield LogChannel(home)
            case _:
                raise AssertionError(f"no far end for a sink of kind {kind}")
