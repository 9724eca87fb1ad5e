from __future__ import annotations

import csv
import io
import re
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from explanations.situations import BOB, CAROL, NO_USER, Fact, config_of, record
from facts import SENT_AT, dsn, head, mdn, rfc822, sent_message

from mdnwatch import table
from mdnwatch.model.stored import to_ms
from mdnwatch.store.migrate import migrate
from mdnwatch.visibility import ALL, Visible

NOW = SENT_AT + timedelta(days=1)
README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db, Path(":memory:"))
        yield db


def pages(db: sqlite3.Connection, sees: Visible = ALL, **question: Any) -> Iterator[table.Facts]:  # noqa: ANN401 - of JSON
    after = None
    while True:
        found = table.page(db, {**question, "after": after}, sees)
        yield found
        if not found["more"]:
            return
        after = found["after"]


def text(db: sqlite3.Connection, **question: Any) -> str:  # noqa: ANN401 - of JSON
    out = io.StringIO(newline="")
    table.write(pages(db, **question), out)
    return out.getvalue()


def rows(db: sqlite3.Connection, **question: Any) -> list[dict[str, str]]:  # noqa: ANN401 - of JSON
    return list(csv.DictReader(io.StringIO(text(db, **question), newline="")))


def test_a_row_tells_of_a_recipient_what_was_sent_and_its_state(db: sqlite3.Connection) -> None:
    facts: list[Fact] = [
        sent_message(recipients=[BOB, CAROL], mdn=True),
        mdn(head()),
        mdn(head("<forged@x>", date=SENT_AT - timedelta(days=14))),
        dsn(head("<d@x>"), [replace(NO_USER, final_recipient=rfc822(CAROL))]),
    ]
    record(db, config_of({}), facts, NOW)
    bob, carol = rows(db)
    assert bob == {
        **dict.fromkeys(table.COLUMNS, ""),
        "message_id": "<offer@mail.example>",
        "account": "sales",
        "from": "alice@mail.example",
        "subject": "Offer",
        "sent_at": "2026-11-23T09:00:00Z",
        "mdn_requested": "yes",
        "recipient": BOB,
        "addressed": "yes",
        "summary": "displayed",
        "delivery": "delivered",
        "reading": "displayed",
        "grade": "consistent",
        "displayed_at": "2026-11-23T10:00:00Z",
        "last_observed_at": "2026-11-23T10:00:05Z",
        "events": "1",
    }
    assert (carol["summary"], carol["reasons"], carol["failed_at"]) == (
        "failed", "no_such_mailbox", "2026-11-23T10:00:00Z",
    )  # fmt: skip


def test_lines_end_with_crlf_and_a_cell_with_a_quote_or_a_comma_is_quoted(db: sqlite3.Connection) -> None:
    record(db, config_of({}), [replace(sent_message(), subject='One, "two"')], NOW)
    lines = text(db).split("\r\n")
    assert lines[0] == ",".join(table.COLUMNS)
    assert '"One, ""two"""' in lines[1]
    assert lines[2:] == [""]


@pytest.mark.parametrize("subject", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_take_for_a_formula_is_text(db: sqlite3.Connection, subject: str) -> None:
    sent = replace(sent_message(recipients=["=cmd@there.example"]), subject=subject, reference="=HYPERLINK(1)")
    record(db, config_of({}), [sent], NOW)
    (row,) = rows(db)
    assert row["subject"] == f"'{subject}"
    assert row["recipient"] == "'=cmd@there.example"
    assert row["reference"] == "'=HYPERLINK(1)"


def test_it_tells_of_one_account_of_a_time_and_of_what_the_asker_sees(db: sqlite3.Connection) -> None:
    old = sent_message("<old@mail.example>", date=SENT_AT - timedelta(days=40))
    other = sent_message("<other@mail.example>", account="board")
    record(db, config_of({}), [old, other, sent_message()], NOW)

    def ids(**question: Any) -> list[str]:  # noqa: ANN401 - of JSON
        return [row["message_id"] for row in rows(db, **question)]

    assert ids() == ["<old@mail.example>", "<other@mail.example>", "<offer@mail.example>"]
    assert ids(account="board") == ["<other@mail.example>"]
    assert ids(since=to_ms(SENT_AT - timedelta(days=1))) == ["<other@mail.example>", "<offer@mail.example>"]
    assert ids(sees=Visible(frozenset({"sales"}))) == ["<old@mail.example>", "<offer@mail.example>"]


def test_many_rows_come_once_each_in_bounded_memory(db: sqlite3.Connection) -> None:
    everybody = [f"p{n:05}@there.example" for n in range(10_000)]
    record(db, config_of({}), [sent_message(recipients=everybody)], NOW)
    assert [row["recipient"] for row in rows(db)] == everybody

    class Nowhere(io.StringIO):
        def write(self, s: str, /) -> int:
            return len(s)

    tracemalloc.start()
    assert table.write(pages(db), Nowhere()) == len(everybody)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All of them at once take some 20 MB.
    assert peak < 4 * 1024 * 1024


def test_a_page_goes_on_by_the_primary_key(db: sqlite3.Connection) -> None:
    record(db, config_of({}), [sent_message()], NOW)
    seen: list[str] = []
    db.set_trace_callback(seen.append)
    table.page(db, {"after": [0, "", ""]})
    db.set_trace_callback(None)
    plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {seen[0]}"))
    assert "SEARCH recipient USING PRIMARY KEY" in plan
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan


def test_the_readme_documents_the_columns() -> None:
    table_of_readme = re.findall(r"^\| `([a-z_]+)`(?:, `[a-z_]+`)* \| ([^|]+) \|$", README, re.MULTILINE)
    assert [(name, what.strip()) for name, what in table_of_readme if name in table.COLUMNS] == list(
        table.COLUMNS.items()
    )
