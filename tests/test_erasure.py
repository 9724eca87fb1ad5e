"""What goes when a message or an address is erased, what stays, and what never comes back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from arrivals import Arrival, arrival, database
from facts import SENT_AT, block, dsn, head, mdn, reply, sent_message

from mdnwatch.erasure import UnderWay, erase_address, erase_message_id
from mdnwatch.model.event import Event
from mdnwatch.model.report import Action
from mdnwatch.placement import record_report, record_sent
from mdnwatch.store import outbox_queries, sent_queries
from mdnwatch.unit import Rules, Unit

NOW = SENT_AT + timedelta(days=30)
OFFER, OTHER = "<offer@mail.example>", "<other@mail.example>"
BOB, CAROL = "bob@there.example", "carol@there.example"


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with database() as db:
        yield db


def unit(db: sqlite3.Connection, now: datetime = NOW) -> Unit:
    def enqueue(db: sqlite3.Connection, event: Event, _now: datetime) -> None:
        outbox_queries.enqueue(db, event.id, ["hook"], event.order_key, 1)

    return Unit(db, Rules(), now, enqueue)


def record(one: Unit, came: Arrival) -> str:
    return record_report(one, came.report, came.evidence, came.place)


def count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def both_failed() -> Arrival:
    return arrival(dsn(head("<b@x>", from_address="MAILER-DAEMON@x"), [block(BOB), block(CAROL)]))


def test_of_a_report_about_two_only_what_is_about_the_other_is_kept(db: sqlite3.Connection) -> None:
    one = unit(db)
    record_sent(one, sent_message(OFFER, [BOB, CAROL]))
    record(one, both_failed())
    erased = erase_address(one, BOB)
    assert (erased.messages, erased.recipients, erased.reports, erased.evidence) == (0, 1, 0, 1)
    assert (erased.events, erased.undelivered) == (1, 1)
    before = db.execute("SELECT report, block FROM evidence").fetchall()
    later = unit(db)
    assert record(later, both_failed().seen_again("office", 2)) == "known"
    assert db.execute("SELECT report, block FROM evidence").fetchall() == before
    assert later.events == []
    (left,) = sent_queries.recipients_of(db, 1)
    assert (left.address, left.state.summary) == (CAROL, "failed")


def test_of_an_address_that_is_part_of_another_the_other_stays(db: sqlite3.Connection) -> None:
    one = unit(db)
    record_sent(one, sent_message(OFFER, ["jimbob@there.example"]))
    record(one, arrival(mdn(head(from_address="jimbob@there.example"), final="jimbob@there.example")))
    erase_address(one, BOB)
    assert (count(db, "recipient"), count(db, "evidence"), count(db, "report")) == (1, 1, 1)


def test_the_one_who_is_left_is_not_taken_for_the_only_recipient(db: sqlite3.Connection) -> None:
    one = unit(db)
    record_sent(one, sent_message(OFFER, [BOB, CAROL]))
    erase_address(one, BOB)
    record(one, arrival(dsn(head("<d@x>", from_address=None), [block(None)])))
    (carol,) = sent_queries.recipients_of(db, 1)
    assert carol.state.summary == "unknown"
    # Nor where the copy is read for the first time after the erasure.
    record_sent(one, sent_message(OTHER, [BOB, CAROL]))
    record(one, arrival(dsn(head("<e@x>", from_address=None), [block(None)], returned=OTHER)))
    assert [who.state.summary for who in sent_queries.recipients_of(db, 2)] == ["unknown"]


@pytest.mark.parametrize(("days", "known"), [(29, False), (31, True)])
def test_whether_the_message_was_sent_before_the_erasure_decides(
    db: sqlite3.Connection,
    days: int,
    known: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Also where that is known only when the message is found, and the report had to wait for it."""
    erase_address(unit(db), BOB)
    came = arrival(mdn(head(), returned=None), hours_later=32 * 24)
    assert record(unit(db), came) == "waiting"
    late = unit(db, NOW + timedelta(days=3))
    record_sent(late, sent_message(OFFER, [BOB, CAROL], date=SENT_AT + timedelta(days=days)))
    assert [who.address for who in sent_queries.recipients_of(db, 1)] == ([BOB, CAROL] if known else [CAROL])
    assert (count(db, "report"), count(db, "evidence"), count(db, "report_key")) == ((1, 1, 1) if known else (0, 0, 0))


def test_a_report_about_an_erased_address_that_still_waits_goes_and_is_not_kept_again(db: sqlite3.Connection) -> None:
    one, came = unit(db), arrival(mdn(head()))
    assert record(one, came) == "waiting"
    assert erase_address(one, "Bob+any@there.example").reports == 1
    assert record(one, came.seen_again("office", 2)) == "erased"
    assert count(db, "report") == 0


def answer(own_id: str, references: list[str]) -> Arrival:
    return arrival(reply(head(own_id, from_address=BOB, in_reply_to=references[-1:], references=references)))


def test_an_answer_in_the_same_conversation_stays_with_its_message_and_forgets_the_erased_one(
    db: sqlite3.Connection,
) -> None:
    one = unit(db)
    for message_id in (OFFER, OTHER):
        record_sent(one, sent_message(message_id))
    assert record(one, answer("<r1@x>", [OFFER, OTHER])) == "matched"
    erase_message_id(one, OFFER)
    assert db.execute("SELECT key FROM report_key").fetchall() == [(f"m:{OTHER}",)]
    assert OFFER not in "\n".join(db.iterdump())
    # The nearest one is erased: it was not the message before that was answered.
    assert record(one, answer("<r2@x>", [OTHER, OFFER])) == "erased"
    assert record(one, answer("<r3@x>", [OFFER, OTHER])) == "matched"


def test_a_held_reply_goes_with_whoever_wrote_it_and_with_the_message_it_may_answer(db: sqlite3.Connection) -> None:
    one = unit(db)
    for number in range(3):
        assert record(one, answer(f"<r{number}@x>", [f"<m{number}@mail.example>"])) == "held"
    record_sent(one, replace(sent_message("<m0@mail.example>"), date=NOW))
    erased = erase_message_id(one, "<m0@mail.example>")
    assert (erased.reports, count(db, "held_reply"), count(db, "held_reply_key")) == (1, 2, 2)
    assert erase_address(one, BOB).held_replies == 2
    assert count(db, "held_reply") == 0


def test_what_is_being_delivered_is_not_erased_under_the_outboxs_hands(db: sqlite3.Connection) -> None:
    one = unit(db)
    record_sent(one, sent_message(OFFER))
    record(one, arrival(mdn(head())))
    outbox_queries.lease(db, "hook", 10, 10, epoch=0, delay=lambda _n: 1)
    before = list(db.iterdump())
    for erase, what in ((erase_message_id, OFFER), (erase_address, BOB)):
        db.execute("SAVEPOINT erase")
        with pytest.raises(UnderWay):
            erase(one, what)
        db.execute("ROLLBACK TO erase")
    assert list(db.iterdump()) == before


def test_what_waits_behind_an_erased_event_goes_out_next(db: sqlite3.Connection) -> None:
    one = unit(db)
    record_sent(one, sent_message(OFFER, ["team@there.example"]))
    for number, member in enumerate((BOB, CAROL)):
        blocks = [block(member, Action.FAILED, original="team@there.example")]
        record(one, arrival(dsn(head(f"<d{number}@x>", from_address="MAILER-DAEMON@x"), blocks)))
    erase_address(one, BOB)
    states = db.execute("SELECT state FROM notification WHERE order_key LIKE '%team%' ORDER BY id").fetchall()
    assert states == [("head",)]
    assert BOB not in "\n".join(db.iterdump())


def test_texts_that_name_an_erased_address_are_emptied(db: sqlite3.Connection) -> None:
    one = unit(db)
    sent = replace(
        sent_message(OFFER, [CAROL]), subject=f"Fwd: {BOB}", reference=BOB, metadata='{"to":"bob@there.example"}'
    )
    record_sent(one, sent)
    erase_address(one, BOB)
    assert db.execute("SELECT subject, reference, metadata FROM sent_message").fetchall() == [("", None, None)]


def test_a_message_that_is_not_known_yet_can_be_erased_beforehand(db: sqlite3.Connection) -> None:
    one = unit(db)
    erase_message_id(one, OFFER)
    assert record_sent(one, sent_message(OFFER)) is False
    assert record(one, arrival(mdn(head()))) == "erased"
    assert (count(db, "sent_message"), count(db, "report"), count(db, "event")) == (0, 0, 0)
