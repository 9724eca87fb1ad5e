"""Takes in what somebody tells of sent messages: in the running daemon, or straight into its database."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mdnwatch import local_api, telling
from mdnwatch.config import Config
from mdnwatch.errors import MdnwatchError
from mdnwatch.model.event import Event
from mdnwatch.model.sent import SentMessage
from mdnwatch.model.token import NO_KEYS, NONCE_BYTES, Keyring
from mdnwatch.placement import record_sent
from mdnwatch.registration import checked, document
from mdnwatch.stamps import Stamp, Stamper
from mdnwatch.store import stamp_queries
from mdnwatch.store.sqlite import Store
from mdnwatch.unit import Unit, rules_of
from mdnwatch.visibility import visible_to

T = TypeVar("T")

ADD = "sent add"
STAMP = "stamp"

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
        self.token_keys: Keyring = NO_KEYS

    async def load(self) -> None:
        """Read the keys of earlier stamps."""
        self.token_keys = await self._store.run(stamp_queries.keyring)

    @property
    def handlers(self) -> Mapping[str, local_api.Handler]:
        """Who answers which command on the local socket."""
        return {ADD: self._answer_add, STAMP: self._answer_stamp}

    async def _answer_add(self, question: Mapping[str, Any], peer: local_api.Peer) -> Mapping[str, Any]:
        document, accounts = question.get("message"), self._config().accounts
        if not isinstance(document, dict):
            raise MdnwatchError("a message to register is a JSON object")
        sent = checked(document, accounts)
        self._check_access(sent, peer)
        return await self.add(sent)

    async def _answer_stamp(self, question: Mapping[str, Any], peer: local_api.Peer) -> Mapping[str, Any]:
        request = question.get("message")
        if not isinstance(request, dict):
            raise MdnwatchError("a message to stamp is a JSON object")
        stamps = await self.stamp(
            request,
            allowed=lambda sent: self._check_access(sent, peer),
            with_new_key=question.get("new_key") is True,
        )
        return {"stamps": stamps}

    def _check_access(self, sent: SentMessage, peer: local_api.Peer) -> None:
        if not visible_to(peer.uid, self._config().accounts).account(sent.account):
            raise MdnwatchError(f"account {sent.account} is not yours: its visible_to names who may use it")

    async def add(self, sent: SentMessage) -> Answer:
        """Keep a message; what it is called, and the ids of the events that reports which waited for it gave."""
        unit = self._unit()

        def work(db: sqlite3.Connection) -> list[str]:
            one = unit(db)
            if not record_sent(one, sent):
                raise MdnwatchError(f"{sent.message_id}: it, or each of its recipients, was erased: it stays unknown")
            return [event.id for event in one.events]

        events = await self._store.run(work)
        if events:
            self._told()
        return {"message_id": sent.message_id, "account": sent.account, "events": events}

    async def stamp(
        self,
        request: Mapping[str, Any],
        *,
        allowed: Callable[[SentMessage], None] = lambda _sent: None,
        with_new_key: bool = False,
    ) -> list[dict[str, Any]]:
        """Stamps for a message, as JSON; they are kept before they are given out. Raises MdnwatchError.

        `allowed` raises what forbids it; `with_new_key` makes another key first.
        """
        config, now, unit = self._config(), self._now(), self._unit()

        def work(db: sqlite3.Connection) -> tuple[list[Stamp], list[Event]]:
            keys = stamp_queries.keyring(db)
            key_id = stamp_queries.add_key(db, now) if with_new_key or not keys else list(keys)[-1]
            secret = stamp_queries.keyring(db)[key_id]
            stamper = Stamper(key_id, secret, partial(secrets.token_bytes, NONCE_BYTES), now)
            stamps = stamper.stamps(request, config.accounts, config.stamp.return_address)
            one = unit(db)
            for stamp in stamps:
                allowed(stamp.sent)
                record_sent(one, stamp.sent)
            return stamps, one.events

        stamps, events = await self._store.run(work)
        # A message with an id of its own may have been waited for.
        if events:
            self._told()
        await self.load()
        return [stamp.facts() for stamp in stamps]

    def _unit(self) -> Callable[[sqlite3.Connection], Unit]:
        now, rules = self._now(), rules_of(self._config())
        return lambda db: Unit(db, rules, now, self._enqueue)


def ask_to_add(socket: Path, messages: Sequence[SentMessage]) -> list[Answer] | None:
    """Let the daemon that listens at `socket` keep messages; None: no daemon listens there. Raises MdnwatchError."""
    answers = []
    for sent in messages:
        answer = local_api.ask(socket, {"command": ADD, "message": document(sent)})
        if answer is None:
            return None
        answers.append(answer)
    return answers


def ask_to_stamp(socket: Path, request: Mapping[str, Any], *, with_new_key: bool) -> list[dict[str, Any]] | None:
    """Let the daemon that listens at `socket` stamp a message; None: no daemon listens there. Raises MdnwatchError."""
    answer = local_api.ask(socket, {"command": STAMP, "message": request, "new_key": with_new_key})
    return None if answer is None else list(answer["stamps"])


def for_people(answer: Answer) -> str:
    """The line that tells of a registered message."""
    told = len(answer["events"])
    more = f"; reports that had waited for it gave {told} event(s)" if told else ""
    return f"{answer['message_id']} is registered for account {answer['account']}{more}"


async def add_directly(config: Config, messages: Sequence[SentMessage], now: Callable[[], datetime]) -> list[Answer]:
    """Keep messages while no daemon runs; what is to be told is told when it does. Raises StoreError."""
    async with _own_registrar(config, now) as registrar:
        return [await registrar.add(sent) for sent in messages]


async def stamp_directly(
    config: Config, request: Mapping[str, Any], now: Callable[[], datetime], *, with_new_key: bool
) -> list[dict[str, Any]]:
    """Stamp a message while no daemon runs. Raises MdnwatchError."""
    async with _own_registrar(config, now) as registrar:
        return await registrar.stamp(request, with_new_key=with_new_key)


@contextlib.asynccontextmanager
async def _own_registrar(config: Config, now: Callable[[], datetime]) -> AsyncIterator[Registrar]:
    """A registrar of the database that no daemon owns. Raises StoreError."""
    store = Store(config.state_dir)
    await store.open()
    try:
        yield Registrar(
            store,
            config=lambda: config,
            enqueue=partial(telling.enqueue, sinks=config.sinks),
            told=lambda: None,
            now=now,
        )
    finally:
        await store.close()
