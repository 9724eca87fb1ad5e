"""What people ask about deliveries and change in them: the outbox, its sinks, and events that are told again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Protocol, TypeVar

import mdnwatch.sinks
from mdnwatch import local_api, telling
from mdnwatch.config import Config, module_of
from mdnwatch.errors import MdnwatchError
from mdnwatch.local_api import Handler, Peer
from mdnwatch.model.event import ping_body
from mdnwatch.model.event_body import TEST_TYPE
from mdnwatch.model.event_facts import EventFacts
from mdnwatch.model.notification import Outgoing, Verdict
from mdnwatch.model.retry import renewed
from mdnwatch.model.stored import from_ms, to_ms
from mdnwatch.problems import not_one_of
from mdnwatch.sinks.base import Sink, SinkSettings
from mdnwatch.store import outbox_changes, outbox_queries
from mdnwatch.store.outbox_changes import GROUPS, Found
from mdnwatch.store.sqlite import DATABASE_NAME, Store, connect_for_reading
from mdnwatch.visibility import ALL, Visible, is_owner, visible_to

T = TypeVar("T")

# Of one answer, and of one unit of work: so that neither the socket nor the writer is held up.
MAX_ROWS = 500

# The keys by which a sink chooses events.
CHOICES = ("events", "accounts", "references", "domains")

Question = Mapping[str, Any]
Facts = dict[str, Any]


class StoreLike(Protocol):
    """The part of the store that is needed here."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a unit of work in one transaction."""
        ...

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the database."""
        ...


class Deliveries:
    """The answers, from a running daemon or from its database alone."""

    def __init__(  # noqa: PLR0913 - what the wiring hands over
        self,
        store: StoreLike,
        *,
        config: Callable[[], Config],
        sinks: Callable[[], Mapping[str, Sink]],
        enable: Callable[[str], Awaitable[bool]],
        wake: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        """`enable` makes an endpoint be tried again, and says whether it was down; `wake` tells of what is due now."""
        self._store = store
        self._config = config
        self._sinks = sinks
        self._enable_endpoint = enable
        self._wake = wake
        self._now = now

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Who answers which command."""
        changes = {
            "outbox retry": self._retry,
            "outbox drop": self._drop,
            "replay": self._replay,
            "sinks test": self._test,
            "sinks enable": self._enable,
        }
        return {
            "outbox list": self._list,
            "outbox show": self._show,
            "sinks list": self._list_sinks,
            **{name: _for_owners(change) for name, change in changes.items()},
        }

    async def _list(self, question: Question, peer: Peer) -> Facts:
        sees = visible_to(peer.uid, self._config().accounts)
        return await self._store.read(partial(listed, question=question, sees=sees))

    async def _show(self, question: Question, peer: Peer) -> Facts:
        sees = visible_to(peer.uid, self._config().accounts)
        return await self._store.read(partial(shown, question=question, sees=sees))

    async def _retry(self, question: Question) -> Facts:
        return await self._change(question, outbox_changes.retry, ("unfinished", "given_up"))

    async def _drop(self, question: Question) -> Facts:
        return await self._change(question, outbox_changes.drop, ("unfinished",))

    async def _change(
        self,
        question: Question,
        change: Callable[[sqlite3.Connection, Sequence[int], int], int],
        groups: Sequence[str],
    ) -> Facts:
        """Change the notifications with these ids, or a page of those of a sink or of all."""
        ids, sink, now = question.get("ids"), question.get("sink"), to_ms(self._now()) or 0
        after = int(question.get("after") or 0)

        def work(db: sqlite3.Connection) -> Facts:
            chosen = [int(one) for one in ids] if ids else outbox_changes.ids_of(db, sink, groups, after, MAX_ROWS)
            changed = change(db, chosen, now)
            return {
                "changed": changed,
                "after": max(chosen, default=after),
                "more": not ids and len(chosen) == MAX_ROWS,
            }

        found = await self._store.run(work)
        self._wake()
        return found

    async def _replay(self, question: Question) -> Facts:
        wanted = self._config().sinks
        if (name := question.get("sink")) is not None:
            wanted = tuple(one for one in wanted if one.name == name)
            self._known(str(name))
        found = await self._store.run(partial(_replayed, question=question, sinks=wanted, now=self._now()))
        self._wake()
        return found

    async def _list_sinks(self, _question: Question, _peer: Peer) -> Facts:
        backlog = {one.sink: one for one in await self._store.read(outbox_queries.backlog)}
        return {"sinks": [_described(sink, backlog.get(name)) for name, sink in self._sinks().items()]}

    async def _test(self, question: Question) -> Facts:
        sink = self._known(str(question.get("sink")))
        identifier, body = ping_body(sink.settings.name, self._now())
        outcome = await sink.send(Outgoing(identifier, TEST_TYPE, body.encode("utf-8"), 1))
        return {
            "id": identifier,
            "verdict": outcome.verdict.value,
            "status": outcome.status,
            "cause": outcome.cause,
        }

    async def _enable(self, question: Question) -> Facts:
        name = self._known(str(question.get("sink"))).settings.name
        was_down = await self._enable_endpoint(name)
        self._wake()
        return {"sink": name, "was_down": was_down}

    def _known(self, name: str) -> Sink:
        sinks = self._sinks()
        if name not in sinks:
            raise MdnwatchError(f"sink {not_one_of(name, sinks)}")
        return sinks[name]


def _for_owners(change: Callable[[Question], Awaitable[Facts]]) -> Handler:
    async def handler(question: Question, peer: Peer) -> Facts:
        if not is_owner(peer.uid):
            raise MdnwatchError("only root and the user that mdnwatch runs as may change deliveries: try it with sudo")
        return await change(question)

    return handler


def listed(db: sqlite3.Connection, *, question: Question, sees: Visible) -> Facts:
    """A page of the outbox: `{"notifications", "after", "more"}`."""
    group, after = str(question.get("state") or "unfinished"), int(question.get("after") or 0)
    if group not in GROUPS:
        raise MdnwatchError(f"state {not_one_of(group, GROUPS)}")
    found = outbox_changes.find(db, group, question.get("sink"), after, MAX_ROWS)
    return {
        "notifications": [_notification(one) for one in found if sees.event(json.loads(one.body))],
        "after": found[-1].id if found else after,
        "more": len(found) == MAX_ROWS,
    }


def shown(db: sqlite3.Connection, *, question: Question, sees: Visible) -> Facts:
    """Everything about one notification, or about those of an event. Raises MdnwatchError where there is none."""
    name = str(question.get("id"))
    found = [one for one in outbox_changes.get(db, name) if sees.event(json.loads(one.body))]
    if not found:
        raise MdnwatchError(f"{name} is neither the number of a notification nor the id of an event that was told")
    return {"notifications": [{**_notification(one), "event": json.loads(one.body)} for one in found]}


def _notification(found: Found) -> Facts:
    words = {"head": "waiting", "leased": "under way"}
    return {
        "number": found.id,
        "id": found.event,
        "type": found.type,
        "sink": found.sink,
        "state": words.get(found.state.value, found.state.value),
        "attempts": found.attempts,
        "queued_at": _iso(found.created_at),
        "attempted_at": _iso(found.attempted_at),
        "due_at": _iso(found.due_at) if found.finished_at is None else None,
        "finished_at": _iso(found.finished_at),
        "last_error": found.last_error,
    }


def _iso(ms: int | None) -> str | None:
    time = from_ms(ms)
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")


def _replayed(db: sqlite3.Connection, *, question: Question, sinks: Sequence[SinkSettings], now: datetime) -> Facts:
    """Queue a page of past events again, under their ids, for those of the sinks that want them."""
    after, since, until = (int(question.get(name) or 0) for name in ("after", "since", "until"))
    rows = outbox_changes.told_events(db, after, since, until or 1 << 62, MAX_ROWS)
    queued = 0
    for _, event, kind, body, order_key in rows:
        facts = EventFacts(kind, body)
        if not fnmatchcase(kind, str(question.get("events") or "*")):
            continue
        wanting = [settings for settings in sinks if settings.wants(facts)]
        again = outbox_changes.finished_ids(db, event, [settings.name for settings in wanting])
        queued += outbox_changes.reopen(db, again, to_ms(now) or 0)
        queued += sum(telling.queue(db, event, order_key or facts.order_key, now, settings) for settings in wanting)
    return {"queued": queued, "after": rows[-1][0] if rows else after, "more": len(rows) == MAX_ROWS}


def _described(sink: Sink, backlog: outbox_queries.SinkBacklog | None) -> Facts:
    endpoint = backlog.endpoint if backlog else None
    state = "up"
    if endpoint is not None and endpoint.down_since is not None:
        state = "down" if endpoint.disabled_at is None else "disabled"
    settings = sink.settings
    chosen = {name: getattr(settings, name) for name in CHOICES}
    return {
        "name": settings.name,
        "kind": settings.kind,
        "state": state,
        "reason": endpoint.reason if endpoint and state != "up" else "",
        "waiting": backlog.waiting if backlog else 0,
        **{name: list(values) for name, values in chosen.items()},
        "min_grade": settings.min_grade.value,
        "public_keys": list(getattr(sink, "public_keys", ())),
    }


async def ask(config: Config, question: Question) -> Facts:
    """The answer of the daemon, or of the database while none runs. Raises MdnwatchError."""
    answer = local_api.ask(config.socket, question)
    return await _answer_alone(config, question) if answer is None else answer


async def pages(config: Config, question: Question) -> list[Facts]:
    """One answer after the other, until there is no more; each goes on after the one before."""
    found = [await ask(config, question)]
    while found[-1]["more"]:
        found.append(await ask(config, {**question, "after": found[-1]["after"]}))
    return found


async def _answer_alone(config: Config, question: Question) -> Facts:
    now = partial(datetime.now, UTC)
    if question["command"] in {"outbox list", "outbox show"}:
        with closing(connect_for_reading(config.state_dir / DATABASE_NAME)) as db:
            answer = listed if question["command"] == "outbox list" else shown
            return answer(db, question=question, sees=ALL)
    store = Store(config.state_dir)
    await store.open()
    sinks: dict[str, Sink] = {}
    try:
        for settings in config.sinks:
            sinks[settings.name] = module_of(mdnwatch.sinks, settings.kind).build(settings, now=now)
        enable = partial(_enable_alone, store, now)
        deliveries = Deliveries(
            store, config=lambda: config, sinks=lambda: sinks, enable=enable, wake=lambda: None, now=now
        )
        return dict(await deliveries.handlers[question["command"]](question, local_api.OURSELVES))
    finally:
        for sink in sinks.values():
            await sink.close()
        await store.close()


async def _enable_alone(store: Store, now: Callable[[], datetime], name: str) -> bool:
    def work(db: sqlite3.Connection) -> bool:
        endpoint = outbox_queries.load_endpoints(db).get(name)
        if endpoint is None or endpoint.down_since is None:
            return False
        outbox_queries.save_endpoint(db, renewed(endpoint, endpoint.identity, to_ms(now()) or 0))
        return True

    return await store.run(work)


def lines(notifications: Sequence[Facts]) -> Iterator[str]:
    """A page of the outbox for people."""
    for one in notifications:
        when = one["finished_at"] or f"due {one['due_at']}"
        error = f": {one['last_error']}" if one["last_error"] else ""
        tried = f"{one['attempts']} attempts" if one["attempts"] != 1 else "1 attempt"
        yield f"{one['number']}  {one['sink']}  {one['type']}  {one['id']}  {one['state']}, {tried}, {when}{error}"


def sink_lines(sinks: Sequence[Facts]) -> Iterator[str]:
    """The sinks for people."""
    for one in sinks:
        reason = f" ({one['reason']})" if one["reason"] else ""
        yield f"{one['name']} ({one['kind']}): {one['state']}{reason}, {one['waiting']} waiting"
        chosen = [
            f"{name} {', '.join(one[name])}" for name in ("events", "accounts", "references", "domains") if one[name]
        ]
        yield f"  {'; '.join(chosen)}; {one['min_grade']} or better"
        yield from (f"  public key {key}" for key in one["public_keys"])


def is_delivered(answer: Facts) -> bool:
    """Whether a test event was taken."""
    return bool(answer["verdict"] == Verdict.DELIVERED.value)
