"""What the daemon answers on its local socket: to each who asks, about the accounts that they may know of."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from mdnwatch import explain, feed, status, table
from mdnwatch.config import Config
from mdnwatch.errors import MdnwatchError
from mdnwatch.local_api import Handler, Peer
from mdnwatch.sources.base import SourceHealth
from mdnwatch.visibility import Visible, visible_to

T = TypeVar("T")

Question = Mapping[str, Any]
Answer = Mapping[str, Any]


class Reader(Protocol):
    """The part of the store that questions need."""

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the database."""
        ...


class Standing(Protocol):
    """What the daemon knows of itself at a moment."""

    @property
    def config(self) -> Config:
        """What is in force."""
        ...

    @property
    def reload_problems(self) -> Sequence[str]:
        """Why a changed configuration was refused; empty where none was."""
        ...

    def health(self) -> Sequence[SourceHealth]:
        """How each account is doing."""
        ...


class Answers:
    """The answers to the questions about what is known."""

    def __init__(self, store: Reader, standing: Standing, now: Callable[[], datetime]) -> None:
        self._store = store
        self._standing = standing
        self._now = now
        self._news = asyncio.Event()

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Who answers which command."""
        return {"status": self._status, "events": self._events, "explain": self._explain, "table": self._table}

    def news(self) -> None:
        """Something was told: those who follow along hear of it at once."""
        self._news.set()
        self._news = asyncio.Event()

    async def _status(self, question: Question, peer: Peer) -> Answer:
        sees = self._visible(peer)
        query = question.get("query")
        if query is not None:
            return await self._store.read(lambda db: status.about(db, str(query), sees))
        facts = await self._store.read(lambda db: status.overview(db, sees))
        accounts = [dataclasses.asdict(one) for one in self._standing.health() if sees.account(one.name)]
        return {
            "running": True,
            "now": _jsonable(self._now()),
            "accounts": _jsonable(accounts),
            "reload_problems": list(self._standing.reload_problems),
            **facts,
        }

    async def _explain(self, question: Question, peer: Peer) -> Answer:
        asker = explain.Asker(self._standing.config, self._now(), self._visible(peer))
        facts = await self._store.read(lambda db: explain.answer(db, question, asker))
        named = explain.accounts_in(facts)
        accounts = [dataclasses.asdict(one) for one in self._standing.health() if one.name in named]
        return {"running": True, "accounts": _jsonable(accounts), **facts}

    async def _table(self, question: Question, peer: Peer) -> Answer:
        sees = self._visible(peer)
        return await self._store.read(lambda db: table.page(db, question, sees))

    async def _events(self, question: Question, peer: Peer) -> Answer:
        since, limit, wait = (question.get(name) for name in ("since", "limit", "wait"))
        if not (since is None or isinstance(since, int)) or not isinstance(limit, int) or limit < 1:
            raise MdnwatchError("a question for events names a cursor and a limit")
        sees = self._visible(peer)
        deadline = asyncio.get_running_loop().time() + min(float(wait or 0), feed.LONGEST_WAIT)
        while True:
            news = self._news
            found = await self._store.read(partial(feed.page, since=since, limit=limit, may_know=sees.event))
            # A cursor that moves on past what is not for the asker saves the next question the same way.
            if found["events"] or found["more"] or since is None or not await _set_before(news, deadline):
                return found
            since = found["cursor"]

    def _visible(self, peer: Peer) -> Visible:
        return visible_to(peer.uid, self._standing.config.accounts)


async def _set_before(news: asyncio.Event, deadline: float) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            await news.wait()
    except TimeoutError:
        return False
    return True


def _jsonable(value: Any) -> Any:  # noqa: ANN401 - any tree of values
    """Times as text; the rest as it is."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {str(name): _jsonable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(inner) for inner in value]
    return value
