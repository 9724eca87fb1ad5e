"""What becomes of messages, as files that people can read: the state and the events after each step, in every order."""

from __future__ import annotations

import itertools
import json
import sqlite3
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from arrivals import Arrival, arrival, database
from facts import SENT_AT, block, dsn, head, mdn, reply, sent_message

from mdnwatch.erasure import erase_address, erase_message_id
from mdnwatch.model.event import Event
from mdnwatch.model.report import Action, DispositionType, Report
from mdnwatch.model.sent import SentMessage
from mdnwatch.model.state import RecipientState
from mdnwatch.placement import record_report, record_sent
from mdnwatch.store import sent_queries
from mdnwatch.unit import Rules, Unit

HISTORIES = {path.stem: path for path in sorted((Path(__file__).parent / "histories").glob("*.toml"))}
ERASING = [name for name, path in HISTORIES.items() if "\nerase =" in path.read_text("utf-8")]
OFFER = "<offer@mail.example>"
BOB = "bob@there.example"
NOW = SENT_AT + timedelta(days=30)


@dataclass(frozen=True)
class Erasure:
    """Somebody has a message erased, or an address."""

    what: str


Fact = SentMessage | Arrival | Erasure
Table = Mapping[str, Any]


def steps_of(name: str) -> tuple[list[Fact], list[Table]]:
    """The facts of a history, and its steps as they are written."""
    steps = tomllib.loads(HISTORIES[name].read_text("utf-8"))["step"]
    facts: list[Fact] = []
    for number, step in enumerate(steps, 1):
        facts.append(fact_of(step, number, facts))
    return facts, steps


def fact_of(step: Table, number: int, before: list[Fact]) -> Fact:
    if "sent" in step:
        return sent_message(OFFER, step["sent"])
    if "erase" in step:
        return Erasure(step["erase"])
    if "again" in step:
        first = before[step["again"]["step"] - 1]
        assert isinstance(first, Arrival)
        return first.seen_again(step["again"]["account"], uid=number)
    kind, about = next((kind, step[kind]) for kind in ("mdn", "dsn", "reply") if kind in step)
    hours = about.get("hours", 1)
    return arrival(REPORTS[kind](about, f"<step{number}@there.example>", hours), uid=number, hours_later=hours)


def _mdn(about: Table, own_id: str, hours: int) -> Report:
    recipient = about.get("recipient", BOB)
    return mdn(
        head(own_id, from_address=recipient, date=SENT_AT + timedelta(hours=hours)),
        final=recipient,
        disposition_type=DispositionType(about["disposition"]),
        action_mode=about.get("mode", "manual-action"),
        reporting_ua=about.get("ua"),
    )


def _dsn(about: Table, own_id: str, hours: int) -> Report:
    told = block(
        about.get("recipient", BOB),
        Action(about["action"]),
        original=about.get("original"),
        status=about.get("status"),
        remote_mta=about.get("remote_mta"),
    )
    return dsn(head(own_id, from_address="MAILER-DAEMON@there.example", date=SENT_AT + timedelta(hours=hours)), [told])


def _reply(about: Table, own_id: str, hours: int) -> Report:
    of = head(own_id, from_address=about["from"], date=SENT_AT + timedelta(hours=hours), in_reply_to=[OFFER])
    return reply(of, by_machine=about.get("by_machine", False), return_date=about.get("return_date"))


REPORTS = {"mdn": _mdn, "dsn": _dsn, "reply": _reply}


def play(db: sqlite3.Connection, facts: Iterable[Fact]) -> Iterable[list[str]]:
    """The events of each fact, in this order."""
    for fact in facts:
        told: list[str] = []

        def enqueue(_db: sqlite3.Connection, event: Event, _now: datetime, told: list[str] = told) -> None:
            told.append(words(event))

        unit = Unit(db, Rules(), NOW, enqueue)
        if isinstance(fact, SentMessage):
            record_sent(unit, fact)
        elif isinstance(fact, Erasure):
            (erase_message_id if fact.what.startswith("<") else erase_address)(unit, fact.what)
        else:
            record_report(unit, fact.report, fact.evidence, fact.place)
        yield told


def contents(db: sqlite3.Connection) -> dict[str, list[Any]]:
    """Every row of every table that tells of people or messages."""
    tables = ("sent_message", "recipient", "report", "evidence", "held_reply", "event", "notification", "tombstone")
    return {table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables}


def words(event: Event) -> str:
    """An event as its type, the recipient, and the member that failed."""
    data = json.loads(event.body)["data"]
    member = data.get("evidence", {}).get("member")
    parts = [event.type.value, data.get("recipient", {}).get("address"), f"({member})" if member else None]
    return " ".join(part for part in parts if part)


def states(db: sqlite3.Connection) -> dict[str, RecipientState]:
    rows = [number for (number,) in db.execute("SELECT id FROM sent_message")]
    return {one.address: one.state for number in rows for one in sent_queries.recipients_of(db, number)}


def matches(state: RecipientState, wanted: Table) -> dict[str, object]:
    """Of a state what the history speaks of."""
    told = {
        "summary": state.summary,
        "delivery": state.delivery.name.lower(),
        "reading": state.reading.name.lower(),
        "flags": list(state.flags),
        "members": list(state.members),
        "reasons": list(state.reasons),
        "handed_over_to": list(state.handed_over_to),
        "return_date": state.return_date,
    }
    return {name: told[name] for name in wanted}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_gives_after_each_step_the_states_and_events_that_it_says(name: str) -> None:
    facts, steps = steps_of(name)
    with database() as db:
        for step, events in zip(steps, play(db, facts), strict=True):
            assert events == step["events"], step["what"]
            known = states(db)
            assert {who: matches(known[who], wanted) for who, wanted in step["state"].items()} == step["state"]
            assert set(step["state"]) <= set(known)


@pytest.mark.parametrize("name", ERASING)
def test_what_was_erased_stays_so_when_all_of_it_comes_again_in_whatever_order(name: str) -> None:
    facts, steps = steps_of(name)
    known, remaining = [fact for fact in facts if not isinstance(fact, Erasure)], steps[-1]["state"]
    with database() as db:
        list(play(db, facts))
        left = contents(db)
        for order in itertools.permutations(known):
            assert list(itertools.chain.from_iterable(play(db, order))) == []
            assert set(states(db)) == set(remaining)
            assert contents(db) == left


@pytest.mark.parametrize("name", [name for name in HISTORIES if name not in ERASING])
def test_a_history_ends_the_same_in_every_order(name: str) -> None:
    facts, steps = steps_of(name)
    told = sorted(event for step in steps for event in step["events"])
    wanted = steps[-1]["state"]
    with database() as db:
        list(play(db, facts))
        last = states(db)
    for order in itertools.permutations(facts):
        with database() as db:
            events = sorted(itertools.chain.from_iterable(play(db, order)))
            assert (events, states(db)) == (told, last), [facts.index(fact) + 1 for fact in order]
    assert {who: matches(last[who], state) for who, state in wanted.items()} == wanted
