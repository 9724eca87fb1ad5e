"""What people ask about deliveries and change in them, with the real outbox, store and receivers."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from outbox_world import World, world
from servers.receiver import SECRET, Answer, Receiver

from mdnwatch import deliveries, telling
from mdnwatch.config import Config, build
from mdnwatch.deliveries import Deliveries
from mdnwatch.errors import MdnwatchError
from mdnwatch.local_api import Peer
from mdnwatch.model.event import Event
from mdnwatch.model.event_type import EventType
from mdnwatch.outbox import Outbox
from mdnwatch.sinks.base import Sink
from mdnwatch.store import event_queries

OWNER = Peer(1, os.geteuid(), os.getegid())
STRANGER = Peer(1, 54321, 54321)


def configuration(home: Path, *sinks: Sink, accounts: Mapping[str, object] | None = None) -> Config:
    account = {
        "name": "sales",
        "kind": "maildir",
        "path": str(home),
        "addresses": ["a@here.example"],
        **(accounts or {}),
    }
    common = {"kind": "webhook", "secrets": [SECRET], "allow_private": True}
    tables = [{**common, "name": one.settings.name, "url": getattr(one.settings, "url", "")} for one in sinks]
    return build({"state_dir": str(home), "accounts": [{**account, **(accounts or {})}], "sinks": tables}, {})


class Desk:
    """Asks as the commands do."""

    def __init__(self, around: World, config: Config, sinks: Mapping[str, Sink], outbox: Outbox) -> None:
        async def enable(name: str) -> bool:
            return outbox.enable(name)

        self._world = around
        self.config = config
        made = Deliveries(
            around.store,
            config=lambda: self.config,
            sinks=lambda: sinks,
            enable=enable,
            wake=outbox.wake,
            now=around.clock,
        )
        self._handlers = made.handlers

    async def ask(self, command: str, peer: Peer = OWNER, **question: object) -> dict[str, Any]:
        return dict(await self._handlers[command](question, peer))

    async def tell(self, *names: str, recipient: str = "") -> None:
        """Events, each of a recipient of its own unless one is named, queued as the daemon does."""
        for name in names:
            address = f"{recipient or name}@there.example"
            data = {
                "id": name,
                "message": {"message_id": "<m@x>", "account": "sales"},
                "recipient": {"address": address},
            }
            event = Event(name, EventType.RECIPIENT_FAILED, f"<m@x> {address}", json.dumps({"data": data}))
            at, sinks = self._world.clock(), self.config.sinks

            def work(db: Any) -> None:  # noqa: ANN401 - the connection
                event_queries.insert_event(db, event, at)  # noqa: B023 - run at once
                telling.enqueue(db, event, at, sinks)  # noqa: B023 - run at once

            await self._world.store.run(work)
        assert self._world.outbox is not None
        self._world.outbox.wake()


@asynccontextmanager
async def desk(home: Path, *receivers: Receiver, **table: object) -> AsyncIterator[tuple[World, Desk]]:
    async with world(home) as around:
        sinks = {f"s{number}": around.sink(one, f"s{number}", **table) for number, one in enumerate(receivers)}
        async with around.run(*sinks.values()) as outbox:
            yield around, Desk(around, configuration(home, *sinks.values()), sinks, outbox)


@pytest.mark.asyncio
async def test_what_waits_is_listed_and_shown_with_its_cause(tmp_path: Path) -> None:
    async with Receiver() as receiver, desk(tmp_path, receiver) as (around, at):
        receiver.behaviour = lambda _: Answer(500)
        await at.tell("evt_1", "evt_2", recipient="bob")
        await around.wait_for_line("event not delivered")
        first, second = (await at.ask("outbox list"))["notifications"]
        assert (first["id"], first["state"], first["attempts"]) == ("evt_1", "waiting", 1)
        assert first["last_error"] == "HTTP 500 Internal Server Error"
        assert second["attempts"] == 0
        assert [line.split("  ")[0] for line in deliveries.lines([first, second])] == ["1", "2"]
        (shown,) = (await at.ask("outbox show", id="evt_2"))["notifications"]
        assert shown["event"]["data"]["id"] == "evt_2"
        assert (await at.ask("outbox show", id="1"))["notifications"][0]["id"] == "evt_1"
        with pytest.raises(MdnwatchError, match="neither the number of a notification nor"):
            await at.ask("outbox show", id="evt_3")
        with pytest.raises(MdnwatchError, match="did you mean"):
            await at.ask("outbox list", state="giv_up")


@pytest.mark.asyncio
async def test_a_retry_waits_for_no_schedule_and_brings_back_what_was_given_up_in_order(tmp_path: Path) -> None:
    async with Receiver() as receiver, desk(tmp_path, receiver) as (around, at):
        receiver.behaviour = lambda _: Answer(500)
        await at.tell("evt_1", "evt_2", recipient="bob")
        await around.wait_for_line("event not delivered")
        assert await at.ask("outbox retry", ids=[1]) == {"changed": 1, "after": 1, "more": False}
        await around.wait_for_line("event not delivered", 2)
        await at.ask("outbox drop", ids=[1])
        # The one behind it has its own schedule now, and has to wait again for the one that is asked for again.
        await around.wait_for_line("event not delivered", 3)
        assert await around.states() == {"evt_1": "given_up", "evt_2": "head"}
        receiver.behaviour = lambda _: Answer()
        assert (await at.ask("outbox retry", sink="s0"))["changed"] == 2
        await around.wait_for_line("event delivered", 2)
        assert receiver.ids == ["evt_1", "evt_1", "evt_2", "evt_1", "evt_2"]


@pytest.mark.asyncio
async def test_what_is_dropped_makes_room_and_is_told_no_more(tmp_path: Path) -> None:
    async with Receiver() as receiver, desk(tmp_path, receiver) as (around, at):
        receiver.behaviour = lambda request: Answer(500 if request.id == "evt_1" else 200)
        await at.tell("evt_1", "evt_2", recipient="bob")
        await around.wait_for_line("event not delivered")
        assert (await at.ask("outbox drop", ids=[1]))["changed"] == 1
        await around.wait_for_line("event delivered")
        assert receiver.ids == ["evt_1", "evt_2"]
        (given_up,) = (await at.ask("outbox list", state="given_up"))["notifications"]
        assert given_up["last_error"] == "dropped by hand"


@pytest.mark.asyncio
async def test_a_replay_tells_again_under_the_same_ids_whom_and_what_was_asked_for(tmp_path: Path) -> None:
    async with Receiver() as receiver, Receiver() as other, desk(tmp_path, receiver, other) as (around, at):
        await at.tell("evt_1")
        await around.wait_for_line("event delivered", 2)
        around.pass_time(hours=1)
        began = around.clock.ms()
        await at.tell("evt_2", "evt_3", recipient="bob")
        await around.wait_for_line("event delivered", 6)
        answer = await at.ask("replay", since=began, sink="s1", events="recipient.*")
        assert (answer["queued"], answer["more"]) == (2, False)
        await around.wait_for_line("event delivered", 8)
        assert other.ids[-2:] == ["evt_2", "evt_3"]
        assert len(receiver.received) == 3
        assert (await at.ask("replay", since=0, until=began, events="*.failed"))["queued"] == 2
        assert (await at.ask("replay", since=0, events="sink.*"))["queued"] == 0
        with pytest.raises(MdnwatchError, match='sink "s2" is not one of s0, s1'):
            await at.ask("replay", since=0, sink="s2")


@pytest.mark.asyncio
async def test_a_replay_reaches_a_sink_that_is_newer_than_the_events(tmp_path: Path) -> None:
    async with Receiver() as receiver, Receiver() as other, desk(tmp_path, receiver, other) as (around, at):
        both, at.config = at.config, configuration(tmp_path)
        await at.tell("evt_1", "evt_2", recipient="bob")
        at.config = both
        assert (await at.ask("replay", since=0, sink="s1"))["queued"] == 2
        await around.wait_for_line("event delivered", 2)
        assert (receiver.ids, other.ids) == ([], ["evt_1", "evt_2"])


@pytest.mark.asyncio
async def test_an_endpoint_that_is_gone_is_told_and_can_be_enabled_again(tmp_path: Path) -> None:
    async with Receiver() as receiver, desk(tmp_path, receiver) as (around, at):
        receiver.behaviour = lambda _: Answer(410)
        await at.tell("evt_1")
        line = await around.wait_for_line("sink disabled")
        assert "mdnwatch sinks enable s0" in line["way_out"]
        assert [kind for kind, *_ in around.news] == [EventType.SINK_DOWN]
        (sink,) = (await at.ask("sinks list"))["sinks"]
        assert (sink["state"], sink["reason"], sink["waiting"]) == ("disabled", "HTTP 410 Gone", 1)
        around.pass_time(days=30)
        await around.nothing_goes()
        receiver.behaviour = lambda _: Answer()
        assert await at.ask("sinks enable", sink="s0") == {"sink": "s0", "was_down": True}
        await around.wait_for_line("sink up")
        assert receiver.ids == ["evt_1", "evt_1"]
        assert [kind for kind, *_ in around.news] == [EventType.SINK_DOWN, EventType.SINK_UP]
        assert (await at.ask("sinks enable", sink="s0"))["was_down"] is False


@pytest.mark.asyncio
async def test_a_test_event_is_signed_and_marked_and_its_answer_is_told(tmp_path: Path) -> None:
    async with Receiver() as receiver, desk(tmp_path, receiver) as (_, at):
        answer = await at.ask("sinks test", sink="s0")
        assert (answer["verdict"], answer["status"]) == ("delivered", 200)
        (request,) = receiver.received
        assert request.verified_by == (SECRET,)
        event = json.loads(request.body)
        assert (event["type"], event["data"]["test"], event["data"]["id"]) == ("test.ping", True, answer["id"])
        receiver.behaviour = lambda _: Answer(403)
        refused = await at.ask("sinks test", sink="s0")
        assert (refused["verdict"], refused["cause"]) == ("rejected", "HTTP 403 Forbidden")
        assert refused["id"] != answer["id"]


@pytest.mark.asyncio
@pytest.mark.parametrize("command", ["outbox retry", "outbox drop", "replay", "sinks test", "sinks enable"])
async def test_only_root_and_the_daemons_user_change_anything(tmp_path: Path, command: str) -> None:
    async with Receiver() as receiver, desk(tmp_path, receiver) as (_, at):
        with pytest.raises(MdnwatchError, match="only root and the user that mdnwatch runs as"):
            await at.ask(command, STRANGER, ids=[1], sink="s0")


@pytest.mark.asyncio
async def test_others_see_only_what_is_of_their_accounts(tmp_path: Path) -> None:
    async with Receiver() as receiver, desk(tmp_path, receiver) as (_, at):
        receiver.behaviour = lambda _: Answer(500)
        await at.tell("evt_1")
        at.config = configuration(tmp_path, accounts={"visible_to": ["nobody-at-all"]})
        assert (await at.ask("outbox list", STRANGER))["notifications"] == []
        with pytest.raises(MdnwatchError, match="neither"):
            await at.ask("outbox show", STRANGER, id="evt_1")
        assert len((await at.ask("outbox list"))["notifications"]) == 1


@pytest.mark.asyncio
async def test_without_a_daemon_the_database_answers(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.behaviour = lambda _: Answer(410)
        async with desk(tmp_path, receiver) as (around, at):
            await at.tell("evt_1")
            await around.wait_for_line("sink disabled")
            config = at.config
        (listed,) = (await deliveries.ask(config, {"command": "outbox list"}))["notifications"]
        assert listed["id"] == "evt_1"
        assert (await deliveries.ask(config, {"command": "sinks enable", "sink": "s0"}))["was_down"] is True
        (sink,) = (await deliveries.ask(config, {"command": "sinks list"}))["sinks"]
        assert sink["state"] == "down"
        pages = await deliveries.pages(config, {"command": "outbox drop", "sink": "s0"})
        assert [page["changed"] for page in pages] == [1]
        pages = await deliveries.pages(config, {"command": "replay", "since": 0})
        assert [page["queued"] for page in pages] == [1]
        receiver.behaviour = lambda _: Answer()
        async with desk(tmp_path, receiver) as (around, _):
            await around.wait_for_line("event delivered")
        assert receiver.ids == ["evt_1", "evt_1"]


@pytest.mark.asyncio
async def test_more_than_a_page_is_done_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MAX_ROWS", 2)
    async with Receiver() as receiver:
        async with desk(tmp_path, receiver) as (around, at):
            await at.tell(*(f"evt_{number}" for number in range(5)))
            await around.wait_for_line("event delivered", 5)
            config = at.config
        for question, key in (
            ({"command": "outbox list", "state": "all"}, "notifications"),
            ({"command": "replay", "since": 0}, "queued"),
            ({"command": "outbox retry"}, "changed"),
            ({"command": "outbox drop", "sink": "s0"}, "changed"),
        ):
            pages = await deliveries.pages(config, question)
            counts = [page[key] if isinstance(page[key], int) else len(page[key]) for page in pages]
            assert counts == [2, 2, 1], question
