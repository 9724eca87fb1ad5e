"""The same facts give the same states and the same event ids, in whatever order and however often they arrive."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from arrivals import TOKEN_KEYS, Arrival, arrival, database
from facts import OURS, SENT_AT, block, dsn, head, mdn, reply, sent_message
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.model.authenticity import Checks, Dkim, Dmarc, Grade, Smime
from mdnwatch.model.event import Event, event_id
from mdnwatch.model.event_type import EventType
from mdnwatch.model.report import Action, DispositionType, Head, Report
from mdnwatch.model.sent import SentMessage
from mdnwatch.model.state import RecipientState, derive
from mdnwatch.model.token import NONCE_BYTES, Spot, identity, make
from mdnwatch.placement import record_report, record_sent
from mdnwatch.recompute import recompute
from mdnwatch.store import report_queries, sent_queries
from mdnwatch.unit import Rules, Unit
from mdnwatch.unmatched import tell_due

NOW = SENT_AT + timedelta(days=2)
ADDRESSES = ["bob@there.example", "Carol+x@there.example", "dave@else.example", "eve@else.example"]
STRANGERS = ["mallory@nowhere.example", "list-member@else.example", "bob@forwarded.example"]


Fact = SentMessage | Arrival


def play(db: sqlite3.Connection, facts: Iterable[Fact], rules: Rules) -> set[str]:
    """Record the facts in this order; the ids of the events that were told of recipients and messages."""
    told: set[str] = set()

    def enqueue(_db: sqlite3.Connection, event: Event, _now: datetime) -> None:
        if not event.type.startswith("report."):
            told.add(event.id)

    unit = Unit(db, rules, NOW, enqueue)
    for fact in facts:
        if isinstance(fact, SentMessage):
            record_sent(unit, fact)
        else:
            record_report(unit, fact.report, fact.evidence, fact.place)
    return told


Rows = dict[tuple[str, str], tuple[bool, RecipientState]]


def rows(db: sqlite3.Connection) -> Rows:
    result: Rows = {}
    for number, message_id in db.execute("SELECT id, message_id FROM sent_message").fetchall():
        for recipient in sent_queries.recipients_of(db, number):
            result[message_id, recipient.address] = (recipient.addressed, recipient.state)
    return result


def states(db: sqlite3.Connection) -> Rows:
    """The rows but for those of nobody: one that was told of and turned out to be another keeps its sequence."""
    return {key: row for key, row in rows(db).items() if row != (False, RecipientState())}


def recomputed(db: sqlite3.Connection, rules: Rules) -> dict[tuple[str, str], RecipientState]:
    result: dict[tuple[str, str], RecipientState] = {}
    for number, message_id in db.execute("SELECT id, message_id FROM sent_message").fetchall():
        for recipient in sent_queries.recipients_of(db, number):
            pieces = report_queries.evidence_of(db, number, recipient.address)
            result[message_id, recipient.address] = derive(p for p, graded in pieces if rules.accepts(graded, "sales"))
    return result


actions = st.sampled_from([action for action in Action if action is not Action.UNKNOWN])
times = st.sampled_from([-48, -3, 1, 5, 30]).map(lambda hours: SENT_AT + timedelta(hours=hours))


checks = st.builds(
    Checks,
    st.sampled_from(Dkim),
    st.sampled_from(Dmarc),
    st.sampled_from(Smime),
    st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True).map(tuple),
)


@st.composite
def histories(draw: st.DrawFn, *, with_fallbacks: bool = True) -> list[Fact]:
    """A few messages, their copies, and reports about them: from recipients, members, strangers, of every grade.

    `with_fallbacks`: also reports that name an address of a copy that comes later, and another beside it, answers
    that name several messages, and places that found different things of a sender. Until the copy or the other place
    is known they rightly count as they do, and an event once told cannot be taken back.
    """
    facts: list[Fact] = []
    message_ids: list[str] = []
    for number in range(draw(st.integers(1, 2))):
        message_id = f"<offer{number}@mail.example>"
        message_ids.append(message_id)
        recipients = draw(st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=4, unique=True))
        # A second copy that names more recipients, as of a client that files one copy for each.
        cut = draw(st.integers(1, len(recipients)))
        facts.append(sent_message(message_id, recipients[:cut]))
        if cut < len(recipients):
            facts.append(sent_message(message_id, recipients[cut - 1 :]))
        stamp = identity("abcd", number.to_bytes(NONCE_BYTES))
        if draw(st.booleans()):
            # Whose token a report bears, and that it is older than the message, is unknown before it is told.
            sole = len(recipients) == 1
            made_for = draw(st.sampled_from([None, *recipients] if with_fallbacks or sole else [None]))
            date = None if with_fallbacks else SENT_AT
            facts.append(registration(message_id, recipients[:cut], stamp, made_for, date))
        nameless = len(recipients) == 1
        named = recipients if with_fallbacks or cut == len(recipients) else []
        for n in range(draw(st.integers(0, 5))):
            own_id = f"<r{number}.{n}@there.example>"
            borne = draw(bearings(message_id, stamp))
            facts += draw(reports(borne, own_id, recipients, named, nameless=nameless, differ=with_fallbacks))
        for n in range(draw(st.integers(0, 3))):
            answered = message_ids if with_fallbacks else [message_id]
            facts += draw(replies(answered, f"<a{number}.{n}@there.example>", recipients, differ=with_fallbacks))
    return facts


def registration(
    message_id: str, recipients: list[str], stamp: str, made_for: str | None, date: datetime | None
) -> SentMessage:
    """The same message as its sender tells of it, with another id that a provider gave it, and a stamp."""
    return replace(
        sent_message(message_id, recipients, date=date),
        reference="17",
        metadata='{"a":1}',
        other_message_ids=(renamed(message_id),),
        tokens=((stamp, made_for),),
    )


def renamed(message_id: str) -> str:
    return message_id.replace("@mail.", "@provider.")


@dataclass(frozen=True)
class Borne:
    """What a report bears of its message: an id, and perhaps a token in the address that it went to."""

    message_id: str
    to: str = OURS

    def by(self, of: Head) -> Head:
        return replace(of, to_addresses=(self.to,))


@st.composite
def bearings(draw: st.DrawFn, message_id: str, stamp: str) -> Borne:
    token = make(stamp, Spot.RETURN_ADDRESS, TOKEN_KEYS["abcd"])
    wrong = make(stamp, Spot.RETURN_ADDRESS, b"o" * 32)
    to = draw(st.sampled_from([OURS, OURS, f"alice+{token}@mail.example", f"alice+{wrong}@mail.example"]))
    return Borne(draw(st.sampled_from([message_id, message_id, renamed(message_id)])), to)


@st.composite
def replies(draw: st.DrawFn, answered: list[str], own_id: str, recipients: list[str], *, differ: bool) -> list[Fact]:
    """An answer, of a person or a machine, seen at one place or at two."""
    others = ["<unknown@there.example>", "<theirs@else.example>"]
    in_reply_to = draw(st.lists(st.sampled_from(answered + others), max_size=2, unique=True))
    references = draw(st.lists(st.sampled_from(answered + others), max_size=3, unique=True))
    senders = recipients + STRANGERS + ["Bob+offers@THERE.example", "carol@there.example"]
    of = head(
        own_id,
        from_address=draw(st.sampled_from(senders)),
        date=draw(times),
        in_reply_to=in_reply_to,
        references=references,
    )
    back = draw(st.none() | st.just(SENT_AT.date()) | st.just(SENT_AT.date() + timedelta(days=9)))
    machine = draw(st.booleans())
    report = reply(of, by_machine=machine, return_date=back if machine else None)
    if not in_reply_to and not references:
        return []
    return draw(sightings(report, differ=differ))


@st.composite
def sightings(draw: st.DrawFn, report: Report, *, differ: bool) -> list[Fact]:
    """A report at one place or at two, which may have found different things of its sender."""
    found = draw(checks)
    facts: list[Fact] = [arrival(report, uid=1, hours_later=draw(st.integers(1, 9)), checks=found)]
    if draw(st.booleans()):
        found = draw(checks) if differ else found
        facts.append(arrival(report, account="other", uid=7, hours_later=draw(st.integers(1, 9)), checks=found))
    return facts


@st.composite
def reports(
    draw: st.DrawFn,
    borne: Borne,
    own_id: str,
    recipients: list[str],
    named: list[str],
    *,
    nameless: bool,
    differ: bool,
) -> list[Fact]:
    who = st.sampled_from(recipients + STRANGERS)
    original = st.none() | st.sampled_from(named) if named else st.none()
    of = borne.by(head(own_id, from_address=draw(who), date=draw(times)))
    report: Report
    if draw(st.booleans()):
        report = mdn(
            of,
            original_message_id=borne.message_id,
            disposition_type=draw(st.sampled_from(list(DispositionType))),
            action_mode=draw(st.sampled_from(["manual-action", "automatic-action"])),
            reporting_ua=draw(st.sampled_from([None, "mx; Dovecot Mail Delivery Agent"])),
            modifiers=draw(st.sampled_from([(), ("error",)])),
            final=None if nameless and draw(st.booleans()) else draw(who),
            original=draw(original),
        )
    else:
        blocks = draw(st.lists(st.builds(block, who, actions, original=original), min_size=1, max_size=4))
        report = dsn(of, blocks, returned=borne.message_id, reporting_mta=draw(st.sampled_from([None, "mx"])))
    return draw(sightings(report, differ=differ))


rule_sets = st.sampled_from(
    [
        Rules(),
        Rules(min_grade=Grade.CONSISTENT),
        Rules(min_grade=Grade.AUTHENTICATED, own_mtas=("mx",)),
        Rules(min_grades={"sales": Grade.AUTHENTICATED}),
    ]
)


@given(histories(), rule_sets, st.data())
def test_any_order_and_repetition_gives_the_same_states(history: list[Fact], rules: Rules, data: st.DataObject) -> None:
    with database() as one, database() as other:
        play(one, history, rules)
        play(other, again(data, history), rules)
        assert states(one) == states(other)


@given(histories(with_fallbacks=False), rule_sets, st.data())
def test_any_order_and_repetition_gives_the_same_event_ids(
    history: list[Fact], rules: Rules, data: st.DataObject
) -> None:
    with database() as one, database() as other:
        open_ended = settled_early(history)
        assert play(one, history, rules) - open_ended == play(other, again(data, history), rules) - open_ended


@given(histories(with_fallbacks=False), rule_sets, st.data())
def test_telling_of_unmatched_reports_changes_neither_states_nor_other_events(
    history: list[Fact], rules: Rules, data: st.DataObject
) -> None:
    split = data.draw(st.integers(0, len(history)))
    with database() as one, database() as other:
        told = play(one, history, rules)
        anew = play(other, history[:split], rules)
        waiting = unmatched(other, rules)
        assert len(waiting) == len(set(waiting)) == count_of(other, "outcome = 'waiting'")
        anew |= play(other, history[split:], rules)
        assert (anew, states(other)) == (told, states(one))
        # What has found its message since, or was told, is not told again.
        assert len(unmatched(other, rules)) == count_of(other, "outcome = 'waiting'") - len(
            set(waiting) & set(ids_of(other, "outcome = 'waiting'"))
        )


def unmatched(db: sqlite3.Connection, rules: Rules) -> list[str]:
    """The reports that a sweep tells of, long after the grace time."""
    told: list[str] = []
    later = NOW + timedelta(hours=2)
    unit = Unit(db, rules, later, lambda _db, event, _now: told.append(event.type))
    before = set(ids_of(db, "tell_unmatched = 1"))
    for account in ("sales", "other"):
        tell_due(unit, account, later, 1000)
    assert count_of(db, "tell_unmatched = 1") == 0
    assert set(told) <= {EventType.REPORT_UNMATCHED}
    return sorted(before)


def count_of(db: sqlite3.Connection, condition: str) -> int:
    return len(ids_of(db, condition))


def ids_of(db: sqlite3.Connection, condition: str) -> list[str]:
    return [report for (report,) in db.execute(f"SELECT id FROM report WHERE {condition}")]


def settled_early(history: list[Fact]) -> set[str]:
    """The ids that messages are settled, of those of which a later copy may tell of further recipients."""
    copies = Counter((fact.message_id, fact.from_address) for fact in history if isinstance(fact, SentMessage))
    return {event_id(*message, "", "settled") for message, count in copies.items() if count > 1}


def again(data: st.DataObject, history: list[Fact]) -> list[Fact]:
    """The same facts in another order, some of them more than once."""
    return data.draw(st.permutations(history)) + data.draw(st.lists(st.sampled_from(history), max_size=4))


@given(histories(), rule_sets)
def test_recomputing_from_the_stored_evidence_gives_the_stored_states(history: list[Fact], rules: Rules) -> None:
    with database() as db:
        play(db, history, rules)
        assert recomputed(db, rules) == {key: state for key, (_, state) in rows(db).items()}


@given(histories(), st.data())
def test_playing_everything_again_tells_nothing_again(history: list[Fact], data: st.DataObject) -> None:
    with database() as db:
        told = play(db, history, Rules())
        before = states(db)
        anew = play(db, data.draw(st.permutations(history)), Rules())
        assert (anew, states(db)) == (set(), before)
        assert len(told) == db.execute("SELECT count(*) FROM event WHERE type NOT LIKE 'report.%'").fetchone()[0]


@given(histories(), rule_sets, rule_sets)
def test_recomputing_by_other_rules_gives_the_states_that_those_would_have_given(
    history: list[Fact], earlier: Rules, later: Rules
) -> None:
    with database() as one, database() as other:
        play(one, history, earlier)
        play(other, history, later)
        told: list[str] = []
        recompute(one, later, NOW, lambda _db, event, _now: told.append(event.id), announce=False)
        assert (told, states(one)) == ([], states(other))
        assert list(recompute(one, later, NOW, lambda *_: None, announce=True).lines())[1:] == [
            "  nothing has changed",
            "nothing was announced",
        ]
