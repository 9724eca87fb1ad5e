from __future__ import annotations

import io
import json
import os
import pty
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from explanations.situations import (
    BOB,
    DAY,
    HERE,
    OFFER,
    RECEIPT_FILE,
    SITUATIONS,
    Situation,
    config_of,
    facts_of,
    habits,
    record,
    text_of,
)
from facts import SENT_AT, head, mdn, reply, sent_message

from mdnwatch import explain, explain_file
from mdnwatch.errors import MdnwatchError
from mdnwatch.explanation import show, whole
from mdnwatch.explanation.say import Clock
from mdnwatch.mail.reader import read
from mdnwatch.model.authenticity import Grade
from mdnwatch.model.correlation import Rung
from mdnwatch.model.evidence import Kind, extract
from mdnwatch.model.reasons import Reason
from mdnwatch.model.received import Place
from mdnwatch.model.report import Report, report_id
from mdnwatch.model.rule_words import FAILURES, GRADES, HANDOVER, MEMBER, REFUSAL, RULES, RUNGS
from mdnwatch.model.stored import stored
from mdnwatch.placement import record_report
from mdnwatch.store import explain_queries
from mdnwatch.store.migrate import migrate
from mdnwatch.unit import Unit, rules_of
from mdnwatch.visibility import Visible

NOW = SENT_AT + DAY


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are shown as the machine's clock has them."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db, Path(":memory:"))
        yield db


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_is_explained_as_its_golden_text_says(name: str) -> None:
    assert text_of(SITUATIONS[name]) == (HERE / f"{name}.txt").read_text("utf-8")


def test_each_golden_text_belongs_to_a_situation() -> None:
    assert {path.stem for path in HERE.glob("*.txt")} == set(SITUATIONS)


def test_every_kind_reason_rung_and_grade_has_its_words() -> None:
    assert (set(RULES), set(FAILURES), set(RUNGS), set(GRADES)) == (set(Kind), set(Reason), set(Rung), set(Grade))
    assert all(rule.source for rule in (*RULES.values(), REFUSAL, HANDOVER, MEMBER))


@pytest.mark.parametrize("width", [40, 80, 100])
def test_no_line_is_wider_than_the_terminal_but_where_a_word_is(width: int) -> None:
    for situation in SITUATIONS.values():
        for line in show.lines(whole.explain(facts_of(situation), Clock(NOW)), width):
            text = "".join(part for part, _ in line)
            assert len(text) <= width or " " not in text.strip().split("  ")[-1].strip()


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=SITUATIONS)
def test_for_programs_the_facts_are_json_with_what_was_said_of_them(situation: Situation) -> None:
    told = json.loads(json.dumps(whole.for_programs(facts_of(situation), Clock(NOW))))
    assert told["subject"] in {"message", "address", "report", "file", "nothing"}
    assert told["says"]
    assert all(say["code"] and say["text"] for say in told["says"])


def asked(db: sqlite3.Connection, query: str, sees: Visible | None = None) -> explain.Facts:
    return explain.of_query(db, query, explain.Asker(config_of({}), NOW, sees or Visible()))


def test_of_many_recipients_those_in_trouble_are_told_and_the_rest_is_counted() -> None:
    everybody = [f"p{n:04}@there.example" for n in range(3000)]
    receipt = mdn(head(from_address=everybody[-1]), final=everybody[-1])
    text = text_of(Situation([sent_message(recipients=everybody, mdn=True), receipt], OFFER))
    assert "It went to 3,000 recipients: 2,999 without evidence, 1 displayed." in text
    assert "p2999@there.example: displayed" in text
    assert "And 2,980 other recipients" in text
    assert len(text.splitlines()) < 400


def test_a_flood_of_receipts_for_one_recipient_is_counted_and_every_kind_of_it_told() -> None:
    flood = [mdn(head(f"<{n}@x>"), original_message_id=OFFER, returned=f"<{n}@r>") for n in range(300)]
    late = mdn(head("<last@x>", date=SENT_AT + DAY), modifiers=("error",))
    forged = mdn(head("<forged@x>", date=SENT_AT - 9 * DAY))
    text = " ".join(text_of(Situation([sent_message(), *flood, late, forged])).split())
    assert "more of the same kinds" in text
    assert "was set aside and changed nothing" in text


def test_an_account_that_is_not_for_the_asker_is_not_told_of(db: sqlite3.Connection) -> None:
    record(db, config_of({}), [sent_message(), mdn(head())], NOW)
    nobody = Visible(frozenset({"other"}))
    for query in (OFFER, BOB, report_id(head(), mdn(head()).report_part)):
        assert asked(db, query)["subject"] != "nothing"
        assert asked(db, query, nobody)["subject"] == "nothing"


def test_a_report_is_found_by_its_id_as_an_event_names_it(db: sqlite3.Connection) -> None:
    receipt = mdn(head())
    record(db, config_of({}), [sent_message(), receipt], NOW)
    facts = asked(db, report_id(receipt.head, receipt.report_part))
    text = "\n".join(say.text for section in whole.explain(facts, Clock(NOW)) for say in section.says)
    assert f'matched it with "Offer" {OFFER}' in text


def test_a_file_that_is_known_already_tells_what_became_of_it(db: sqlite3.Connection) -> None:
    report = read(RECEIPT_FILE)
    assert isinstance(report, Report)
    config = config_of({})
    record(db, config, [sent_message(mdn=True)], NOW)
    identifier = report_id(report.head, report.report_part)
    unit = Unit(db, rules_of(config), NOW, lambda _db, _event, _now: None)
    kept = stored(report, identifier, "sales", NOW, announce=True)
    record_report(unit, kept, extract(report, identifier, NOW), Place("sales", "INBOX", 1, 7))
    question = explain_file.read(RECEIPT_FILE, (), NOW).question
    facts = explain.answer(db, question, explain.Asker(config, NOW))
    assert facts["known"]["outcome"] == "matched"
    (recipient,) = facts["known"]["message"]["recipients"]
    assert (recipient["address"], recipient["summary"]) == (BOB, "displayed")
    (place,) = recipient["evidence"][0]["report"]["seen_in"]
    assert (place["folder"], place["uid"]) == ("INBOX", 7)


def test_how_a_domain_answers_is_found_by_an_index_and_of_the_last_messages(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(db, config_of({}), [*habits("there.example", 3, 8), sent_message(mdn=True)], NOW)
    seen: list[str] = []
    db.set_trace_callback(seen.append)
    facts = asked(db, OFFER)
    db.set_trace_callback(None)
    assert facts["messages"][0]["domains"]["there.example"]["asked"] == 8
    (sql,) = [one for one in seen if "addressed = 1 ORDER BY message DESC" in one]
    plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}"))
    assert "USING INDEX recipient_domain" in plan
    assert "SCAN recipient" not in plan
    assert "TEMP B-TREE" not in plan
    monkeypatch.setattr(explain_queries, "MAX_OF_DOMAIN", 5)
    assert asked(db, OFFER)["messages"][0]["domains"]["there.example"]["asked"] == 4


def test_a_quoted_local_part_with_an_at_sign_has_the_domain_behind_the_last_one(db: sqlite3.Connection) -> None:
    odd = '"a@b"@there.example'
    record(db, config_of({}), [*habits("there.example", 1, 2), sent_message(recipients=[odd], mdn=True)], NOW)
    facts = asked(db, OFFER)
    assert facts["messages"][0]["domains"]["there.example"]["asked"] == 2


def test_on_a_terminal_headings_stand_out_and_elsewhere_all_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    sections = list(whole.explain(facts_of(SITUATIONS["failed"]), Clock(NOW)))
    plain = io.StringIO()
    show.show(sections, plain)
    assert "\x1b" not in plain.getvalue()
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal, os.fdopen(master, "rb") as screen:
        show.show(sections[:2], terminal)
        terminal.flush()
        shown = os.read(screen.fileno(), 4096).decode()
    assert "\x1b[1mMail to bob@there.example" in shown


def test_a_reply_that_is_set_aside_names_who_sent_it() -> None:
    answer = reply(head("<old@there.example>", date=SENT_AT - 9 * DAY, in_reply_to=[OFFER]))
    text = " ".join(text_of(Situation([sent_message(), answer])).split())
    assert "A report of bob@there.example claims replied, dated 2026-11-14 09:00:00" in text


def test_a_file_tells_nothing_of_messages_that_the_asker_may_not_see(db: sqlite3.Connection) -> None:
    config = config_of({})
    record(db, config, [sent_message(mdn=True)], NOW)
    question = explain_file.read(RECEIPT_FILE, (), NOW).question
    asker = explain.Asker(config, NOW, Visible(frozenset({"other"})))
    assert explain.answer(db, question, asker)["choice"]["would"] == "waiting"


@pytest.mark.parametrize("report", [{"id": "1", "content": "{}"}, {"id": "1", "kind": "mdn", "content": "["}])
def test_a_question_that_no_command_asks_is_refused_in_words(db: sqlite3.Connection, report: dict[str, str]) -> None:
    with pytest.raises(MdnwatchError, match="a question about a report brings it as"):
        explain.answer(db, {"report": report}, explain.Asker(config_of({}), NOW))
