"""Takes in what somebody tells of sent messages: in the running daemon, or straight into its database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mdnwatch import local_api, telling
from mdnwatch.config import Config
from mdnwatch.errors import MdnwatchError
from mdnwatch.model.event import Event
from mdnwatch.model.sent import SentMessage
from mdnwatch.placement import Unit, record_sent, rules_of
from mdnwatch.registration import checked, document
from mdnwatch.store.sqlite import Store
from mdnwatch.visibility import visible_to

T = TypeVar("T")

ADD = "sent add"

# Message-ID, account and the ids of the events that were told.
Answer = dict[str, Any]


class Writer(Protocol):
    """The part of the store that is needed here."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a unit of work in one transaction."""
        ...


class Registrar:
    """Keeps sent messages that were told of, and places what has waited for them."""

    def __init__(
        self,
        store: Writer,
        *,
        config: Callable[[], Config],
        enqueue: Callable[[sqlite3.Connection, Event, datetime], None],
        told: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._config = config
        self._enqueue = enqueue
        self._told = told
        self._now = now

    @property
    def handlers(self) -> Mapping[str, local_api.Handler]:
        """Who answers which command on the local socket."""
        return {ADD: self._answer_add}

    async def _answer_add(self, question: Mapping[str, Any], peer: local_api.Peer) -> Mapping[str, Any]:
        document, accounts = question.get("message"), self._config().accounts
        if not isinstance(document, dict):
            raise MdnwatchError("a message to register is a JSON object")
        sent = checked(document, accounts)
        if not visible_to(peer.uid, accounts).account(sent.account):
            raise MdnwatchError(f"account {sent.account} is not yours: its visible_to names who may use it")
        return await self.add(sent)

    async def add(self, sent: SentMessage) -> Answer:
        """Keep a message; what it is called, and the ids of the events that reports which waited for it gave."""
        now, rules = self._now(), rules_of(self._config())

        def work(db: sqlite3.Connection) -> list[str]:
            unit = Unit(db, rules, now, self._enqueue)
            record_sent(unit, sent)
            return [event.id for event in unit.events]

        events = await self._store.run(work)
        if events:
            self._told()
        return {"message_id": sent.message_id, "account": sent.account, "events": events}


def ask_to_add(socket: Path, messages: Sequence[SentMessage]) -> list[Answer] | None:
    """Let the daemon that listens at `socket` keep messages; None: no daemon listens there. Raises MdnwatchError."""
    answers = []
    for sent in messages:
        answer = local_api.ask(socket, {"command": ADD, "message": document(sent)})
        if answer is None:
            return None
        answers.append(answer)
    return answers


def for_people(answer: Answer) -> str:
    """The line that tells of a registered message."""
    told = len(answer["events"])
    more = f"; reports that had waited for it gave {told} event(s)" if told else ""
    return f"{answer['message_id']} is registered for account {answer['account']}{more}"


async def add_directly(config: Config, messages: Sequence[SentMessage], now: Callable[[], datetime]) -> list[Answer]:
    """Keep messages while no daemon runs; what is to be told is told when it does. Raises StoreError."""
    store = Store(config.state_dir)
    await store.open()
    try:
        registrar = Registrar(
            store,
            config=lambda: config,
            enqueue=partial(telling.enqueue, sinks=config.sinks),
            told=lambda: None,
            now=now,
        )
        return [await registrar.add(sent) for sent in messages]
    finally:
        await store.close()
