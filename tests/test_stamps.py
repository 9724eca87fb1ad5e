"""Stamps: what is made, what a report that bears one proves, and of whom it tells."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from facts import SENT_AT, block, dsn, head, mdn

from mdnwatch.config import build
from mdnwatch.model.evidence import extract
from mdnwatch.model.received import Place
from mdnwatch.model.report import Report, report_id
from mdnwatch.model.stored import stored
from mdnwatch.model.token import MAX_LOCAL_PART, NONCE_BYTES
from mdnwatch.placement import record_report, record_sent
from mdnwatch.registration import NotUsable
from mdnwatch.stamps import Stamp, Stamper
from mdnwatch.store.migrate import migrate
from mdnwatch.unit import Rules, Unit

BOB, CAROL, DAVE = "bob@there.example", "carol@there.example", "dave@else.example"
KEYS = {"abcd": b"k" * 32}
ACCOUNTS = build(
    {
        "state_dir": "/nowhere",
        "accounts": [{"name": "sales", "kind": "maildir", "path": "/nowhere", "addresses": ["alice@mail.example"]}],
    },
    {},
).accounts


def stamps(*recipients: str, return_address: str | None = None, **request: object) -> list[Stamp]:
    numbers = itertools.count()
    stamper = Stamper("abcd", KEYS["abcd"], lambda: next(numbers).to_bytes(NONCE_BYTES), SENT_AT)
    told = {"from": "alice@mail.example", "recipients": list(recipients), **request}
    return stamper.stamps(told, ACCOUNTS, return_address)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection, Path(":memory:"))
        yield connection


def heard(db: sqlite3.Connection, stamped: list[Stamp], *reports: Report) -> list[tuple[object, ...]]:
    """Who is told of, by which rung and how far trusted, when these reports arrive."""
    unit = Unit(db, Rules(), SENT_AT + timedelta(days=1), lambda *_: None)
    for stamp in stamped:
        record_sent(unit, stamp.sent)
    for number, report in enumerate(reports):
        identifier, seen = report_id(report.head, report.report_part), SENT_AT + timedelta(hours=2)
        kept = stored(report, identifier, "sales", seen, announce=True, token_keys=KEYS)
        record_report(unit, kept, extract(report, identifier, seen), Place("sales", "INBOX", 1, number))
    return db.execute(
        "SELECT recipient, rung, grade, reasons FROM evidence JOIN report ON report.id = evidence.report ORDER BY block"
    ).fetchall()


def to(address: str, report: Report) -> Report:
    return replace(report, head=replace(report.head, to_addresses=(address,)))


def test_one_stamp_is_for_all_and_says_that_it_proves_little() -> None:
    (stamp,) = stamps(BOB, CAROL)
    assert stamp.sent.recipients == (BOB, CAROL)
    assert stamp.sent.message_id.endswith("@mail.example>")
    assert stamp.return_address.startswith("alice+")
    assert stamp.proves.startswith("All 2 recipients get it")


def test_each_recipient_gets_a_stamp_that_says_whose_it_is() -> None:
    found = stamps(BOB, CAROL, each=True)
    assert [stamp.sent.recipients for stamp in found] == [(BOB,), (CAROL,)]
    for values in zip(*(stamp.facts().values() for stamp in found), strict=True):
        assert values[0] != values[1]
    assert found[0].proves.startswith(f"Made for {BOB} alone")


def test_a_message_id_of_the_caller_stays_and_proves_nothing() -> None:
    found = stamps(BOB, CAROL, each=True, message_id="<mine@mail.example>", reference="17", metadata={"a": 1})
    assert {stamp.sent.message_id for stamp in found} == {"<mine@mail.example>"}
    assert {(stamp.sent.reference, stamp.sent.metadata) for stamp in found} == {("17", '{"a":1}')}
    assert "Message-ID" not in found[0].proves


def test_the_return_address_fits_in_a_local_part_or_is_refused() -> None:
    (stamp,) = stamps(BOB, return_address="abcdefghijklmnopqrstuvwxyz1@mail.example")
    assert len(stamp.return_address.partition("@")[0]) == MAX_LOCAL_PART
    with pytest.raises(NotUsable, match="name a shorter one as return_address"):
        stamps(BOB, return_address="abcdefghijklmnopqrstuvwxyz12@mail.example")


def test_a_report_of_the_same_second_is_not_older_than_the_stamp() -> None:
    stamper = Stamper("abcd", KEYS["abcd"], lambda: bytes(NONCE_BYTES), SENT_AT + timedelta(milliseconds=900))
    (stamp,) = stamper.stamps({"from": "alice@mail.example", "recipients": [BOB]}, ACCOUNTS, None)
    assert stamp.sent.date == SENT_AT


def test_what_is_wrong_with_a_request_is_said() -> None:
    with pytest.raises(NotUsable) as refused:
        stamps("bob", metadata=[])
    assert [line.split(":")[0] for line in refused.value.problems] == ["recipients", "metadata"]


def in_envelope(stamp: Stamp) -> Report:
    return dsn(head(), [block(None)], returned=None, envelope_id=stamp.sent.envelope_id)


def in_message_id(stamp: Stamp) -> Report:
    return mdn(head(from_address="assistant@else.example"), original_message_id=stamp.sent.message_id, final=BOB)


def in_return_address(stamp: Stamp) -> Report:
    return to(stamp.return_address, dsn(head(), [block(None)], returned=None, reporting_mta=None))


@pytest.mark.parametrize("report", [in_envelope, in_message_id, in_return_address])
def test_a_token_made_for_one_recipient_authenticates_and_names_the_recipient(
    db: sqlite3.Connection, report: Callable[[Stamp], Report]
) -> None:
    found = stamps(BOB, CAROL, each=True)
    assert heard(db, found, report(found[0])) == [(BOB, "token", "authenticated", '["token"]')]


def test_a_token_that_all_got_proves_only_that_somebody_held_a_copy(db: sqlite3.Connection) -> None:
    found = stamps(BOB, CAROL)
    report = mdn(head(), original_message_id=found[0].sent.message_id)
    assert heard(db, found, report) == [(BOB, "token", "consistent", '["shared-token"]')]


def test_the_token_of_another_recipient_contradicts_and_changes_no_state(db: sqlite3.Connection) -> None:
    found = stamps(BOB, CAROL, each=True, message_id="<mine@mail.example>")
    report = to(
        found[1].return_address, mdn(head(), original_message_id="<mine@mail.example>", envelope_id=None, final=BOB)
    )
    assert heard(db, found, report) == [(BOB, "token", "contradicted", '["other-token"]')]
    assert db.execute("SELECT count(*) FROM recipient WHERE state IS NOT NULL").fetchone() == (0,)
    assert db.execute("SELECT type FROM event").fetchall() == [("report.suspicious",)]


def test_a_wrong_token_contradicts_whatever_else_matches(db: sqlite3.Connection) -> None:
    found = stamps(BOB)
    token = found[0].sent.envelope_id or ""
    forged = token[:-1] + ("a" if token[-1] != "a" else "b")
    report = mdn(head(), original_message_id=found[0].sent.message_id, envelope_id=forged)
    assert heard(db, found, report) == [(BOB, "token", "contradicted", '["token","wrong-token"]')]


def test_whoever_was_passed_a_copy_is_called_no_forger(db: sqlite3.Connection) -> None:
    found = stamps(BOB, each=True)
    report = mdn(head(from_address=DAVE), original_message_id=found[0].sent.message_id, final=DAVE)
    assert heard(db, found, report) == [(DAVE, "token", "doubtful", '["not-addressed"]')]


def test_without_its_return_address_one_stamp_of_many_still_says_whose_failure_it_is(db: sqlite3.Connection) -> None:
    found = stamps(BOB, CAROL, each=True, message_id="<mine@mail.example>")
    assert heard(db, found, in_return_address(found[1])) == [(CAROL, "token", "authenticated", '["token"]')]
