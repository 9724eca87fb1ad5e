from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from facts import SENT_AT, block, dsn, head, mdn, sent_message

from mdnwatch import status, status_lines
from mdnwatch.errors import StoreError
from mdnwatch.model.correlation import Rung
from mdnwatch.model.event import Event
from mdnwatch.model.evidence import extract
from mdnwatch.model.received import Place
from mdnwatch.model.report import Action, Report, report_id
from mdnwatch.model.sent import SentMessage
from mdnwatch.model.stored import stored, to_ms
from mdnwatch.placement import record_report, record_sent
from mdnwatch.store import outbox_queries
from mdnwatch.store.migrate import migrate
from mdnwatch.unit import Rules, Unit

NOW = SENT_AT + timedelta(days=1)
HOUR = timedelta(hours=1)


def local(time: datetime) -> str:
    """As the machine's clock shows it."""
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


def record(db: sqlite3.Connection, *facts: Report | SentMessage) -> None:
    def enqueue(db: sqlite3.Connection, event: Event, now: datetime) -> None:
        outbox_queries.enqueue(db, event.id, ["crm"], event.order_key, to_ms(now) or 0)

    unit = Unit(db, Rules(), NOW, enqueue)
    for uid, fact in enumerate(facts, 1):
        if isinstance(fact, Report):
            identifier = report_id(fact.head, fact.report_part)
            kept = stored(fact, identifier, "sales", NOW, announce=True)
            record_report(unit, kept, extract(fact, identifier, NOW), Place("sales", "INBOX", 1, uid))
        else:
            record_sent(unit, fact)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db, Path(":memory:"))
        yield db


def lines(db: sqlite3.Connection, query: str) -> str:
    return told(status.about(db, query))


def told(facts: status.Facts) -> str:
    out = io.StringIO()
    status_lines.show(facts, NOW, out)
    return out.getvalue()


def test_a_message_tells_of_each_recipient_and_of_silence_as_silence(db: sqlite3.Connection) -> None:
    record(db, sent_message(recipients=["bob@there.example", "carol@there.example"], mdn=True), mdn(head()))
    assert lines(db, "<offer@mail.example>").splitlines() == [
        "<offer@mail.example>  Offer",
        f"  sent {local(SENT_AT)} (1 d ago) by alice@mail.example, account sales; asked for: a receipt",
        "  bob@there.example: displayed",
        "    delivery delivered, reading displayed",
        f"    displayed: claimed {local(SENT_AT + HOUR)} (23 h ago); observed {local(NOW)} (now)",
        "      matched by original-message-id, consistent",
        "  carol@there.example: no evidence",
    ]


def test_what_was_claimed_twice_shows_the_first_and_the_last_time(db: sqlite3.Connection) -> None:
    delays = [
        dsn(head(f"<d{hours}@x>", date=SENT_AT + hours * HOUR), [block("bob@there.example", Action.DELAYED)])
        for hours in (7, 3, 5)
    ]
    record(db, sent_message(), *delays)
    first, last = local(SENT_AT + 3 * HOUR), local(SENT_AT + 7 * HOUR)
    assert f"delayed: claimed 3 times, first {first} (21 h ago), last {last} (17 h ago);" in lines(
        db, "bob@there.example"
    )


def test_a_contradicted_receipt_is_shown_with_what_speaks_against_it_and_is_no_evidence(
    db: sqlite3.Connection,
) -> None:
    record(db, sent_message(), mdn(head(date=SENT_AT - timedelta(days=14))))
    text = lines(db, "bob@there.example")
    assert "  bob@there.example: no evidence\n" in text
    reason = "the report is dated more than 24 hours before the message"
    assert f"matched by original-message-id, contradicted ({reason})" in text


@pytest.mark.parametrize("query", ["<offer@mail.example>", "offer@mail.example", " <offer@mail.example> "])
def test_a_message_id_is_found_with_and_without_brackets(db: sqlite3.Connection, query: str) -> None:
    record(db, sent_message())
    (message,) = status.about(db, query)["messages"]
    assert message["message_id"] == "<offer@mail.example>"


def test_an_address_tells_of_what_was_sent_to_it_and_of_nobody_else(db: sqlite3.Connection) -> None:
    record(
        db, sent_message(recipients=["bob@there.example", "carol@there.example"]), sent_message("<two@mail.example>")
    )
    found = status.about(db, "Bob@There.example")["messages"]
    assert [message["message_id"] for message in found] == ["<two@mail.example>", "<offer@mail.example>"]
    assert {recipient["address"] for message in found for recipient in message["recipients"]} == {"bob@there.example"}


def test_a_sub_address_is_found_by_itself_and_by_its_mailbox_but_not_by_another(db: sqlite3.Connection) -> None:
    record(db, sent_message(recipients=["bob+offers@there.example"]))
    assert status.about(db, "bob+offers@there.example")["messages"]
    assert status.about(db, "bob@there.example")["messages"]
    assert not status.about(db, "bob+else@there.example")["messages"]


def test_a_report_that_waits_is_told_of(db: sqlite3.Connection) -> None:
    record(db, mdn(head()))
    assert "1 report(s) name this Message-ID, but no copy of the message was found" in lines(db, "<offer@mail.example>")


def test_what_is_unknown_is_said_to_be(db: sqlite3.Connection) -> None:
    assert lines(db, "nobody@x.example").startswith("nothing is known of nobody@x.example")


def test_the_overview_counts_reports_rungs_and_what_waits(db: sqlite3.Connection) -> None:
    refused = dsn(head("<d@x>"), [block("bob@there.example", Action.FAILED)])
    record(db, sent_message(), mdn(head()), refused, mdn(head("<other@x>"), original_message_id="<unknown@x>"))
    facts = status.overview(db)
    assert facts["sent_messages"] == 1
    assert facts["reports"] == {"matched": 2, "waiting": 1}
    assert {rung: count for rung, count in facts["rungs"].items() if count} == {
        "original-message-id": 1,
        "returned-message-id": 1,
    }
    assert list(facts["rungs"]) == list(Rung)
    (sink,) = facts["sinks"]
    assert (sink["name"], sink["state"], sink["waiting"]) == ("crm", "up", 3)
    assert {event["type"] for event in facts["last_events"]} == {
        "recipient.displayed",
        "recipient.failed",
        "message.settled",
    }


def test_the_last_events_name_the_recipient_also_where_a_report_is_suspicious(db: sqlite3.Connection) -> None:
    record(db, sent_message(), mdn(head(date=SENT_AT - timedelta(days=14))))
    (event,) = status.overview(db)["last_events"]
    assert (event["type"], event["about"]) == ("report.suspicious", "bob@there.example")
    assert event["message_id"] == "<offer@mail.example>"


def test_without_a_database_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has not run with this state_dir yet"):
        status.stored(tmp_path, None)


def test_the_last_events_are_told_with_age_state_reason_and_grade(db: sqlite3.Connection) -> None:
    record(db, sent_message(), dsn(head("<d@x>"), [block("bob@there.example", Action.FAILED)]))
    facts = status.overview(db)
    last = told(facts).splitlines()[-1].split(maxsplit=4)
    assert last[:3] == ["now", "bob@there.example", "failed"]
    assert last[-1].endswith("consistent")
