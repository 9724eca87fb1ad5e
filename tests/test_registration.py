from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from facts import SENT_AT, sent_message

from mdnwatch.config import build
from mdnwatch.model.sent import Requested
from mdnwatch.model.stored import to_ms
from mdnwatch.placement import record_sent
from mdnwatch.registration import (
    MAX_METADATA_BYTES,
    MAX_RECIPIENTS,
    NotUsable,
    checked,
    document,
    object_of,
    read,
)
from mdnwatch.store.migrate import migrate
from mdnwatch.unit import Rules, Unit

TWO = build(
    {
        "state_dir": "/nowhere",
        "accounts": [
            {"name": name, "kind": "maildir", "path": f"/nowhere/{name}", "addresses": [f"{name}@mail.example"]}
            for name in ("sales", "office")
        ],
    },
    {},
).accounts
ONE = TWO[:1]

LEAST = {"message_id": "<1@mail.example>", "from": "sales@mail.example", "recipients": ["bob@there.example"]}
MOST = {
    **LEAST,
    "message_id": "1@mail.example",
    "to": ["Carol <carol@there.example>"],
    "sent_at": "2026-11-23T10:00:00+01:00",
    "subject": "Offer",
    "envelope_id": "QQ+1",
    "other_message_ids": ["<0102-0@eu-west-1.amazonses.com>"],
    "requested": {"mdn": True, "dsn": ["success", "FAILURE"]},
    "reference": "offer 17",
    "metadata": {"customer": "ÄÖ", "n": [1, 2]},
    "account": "sales",
}


def problems(told: Mapping[str, Any] | bytes) -> tuple[str, ...]:
    data = told if isinstance(told, bytes) else json.dumps(told).encode()
    with pytest.raises(NotUsable) as refused:
        read(data, TWO, {})
    return refused.value.problems


def test_three_keys_suffice() -> None:
    sent = checked(LEAST, TWO)
    assert (sent.message_id, sent.account, sent.recipients) == ("<1@mail.example>", "sales", ("bob@there.example",))
    assert (sent.date, sent.reference, sent.metadata) == (None, None, None)


def test_every_key_is_taken_and_given_back() -> None:
    sent = checked(MOST, TWO)
    assert sent.message_id == "<1@mail.example>"
    assert sent.recipients == ("carol@there.example", "bob@there.example")
    assert sent.date == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert sent.requested == Requested(mdn=True, dsn=("FAILURE", "SUCCESS"))
    assert json.loads(sent.metadata or "") == MOST["metadata"]
    assert checked(document(sent), TWO) == sent


def test_a_message_as_it_was_sent_is_taken_with_what_is_added_to_it() -> None:
    mail = b"From: sales@mail.example\nTo: bob@there.example\nMessage-ID: <1@mail.example>\nSubject: Offer\n\nHello\n"
    (sent,) = read(mail, TWO, {"recipients": ["hidden@there.example"], "reference": "17", "metadata": {"a": 1}})
    assert sent.recipients == ("bob@there.example", "hidden@there.example")
    assert (sent.subject, sent.reference, sent.metadata) == ("Offer", "17", '{"a":1}')


def test_a_list_is_as_many_messages() -> None:
    other = {**LEAST, "message_id": "<2@mail.example>"}
    assert [one.message_id for one in read(json.dumps([LEAST, other]).encode(), TWO, {})] == [
        "<1@mail.example>",
        "<2@mail.example>",
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"mesage_id": "x"}, 'mesage_id: unknown key (did you mean "message_id"?)'),
        ({"message_id": None}, "message_id: is missing: add the Message-ID"),
        ({"message_id": "two words"}, 'message_id: "two words" is no Message-ID'),
        ({"from": ["a@b.example"]}, "from: must be a string"),
        ({"recipients": "bob@there.example"}, "recipients: must be a list"),
        ({"recipients": ["bob"]}, 'recipients: "bob" is not an address'),
        ({"recipients": []}, "recipients: is missing"),
        ({"recipients": [f"{n}@x.example" for n in range(MAX_RECIPIENTS + 1)]}, "recipients: 10001 are more"),
        ({"sent_at": "yesterday"}, 'sent_at: "yesterday" is not a time'),
        ({"sent_at": "2026-11-23T10:00:00"}, 'sent_at: "2026-11-23T10:00:00" has no time zone'),
        ({"envelope_id": "x" * 101}, "envelope_id: must be 1 to 100"),
        ({"requested": {"dsn": ["sucess"]}}, 'requested: dsn: "SUCESS" is not one of'),
        ({"reference": "x" * 300}, "reference: must be printable, and 256 bytes"),
        ({"metadata": "text"}, "metadata: must be an object"),
        ({"metadata": {"a": "x" * MAX_METADATA_BYTES}}, "metadata: is larger than 4096 bytes"),
        ({"account": "salse"}, 'account: "salse" is not one of sales, office (did you mean "sales"?)'),
        ({"from": "else@where.example"}, "account: is missing, and the sender does not tell which"),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(change: Mapping[str, Any], problem: str) -> None:
    (found,) = problems({**LEAST, **change})
    assert found.startswith(problem)


def test_every_problem_is_said_at_once_with_its_place() -> None:
    found = problems([LEAST, {**LEAST, "sent_at": "x", "metadata": 1, "from": None}])  # type: ignore[arg-type] # JSON
    assert [line.split(":")[0] for line in found] == ["[1].sent_at", "[1].metadata", "[1].from"]


@pytest.mark.parametrize("data", [b"{", b"[]", b"[1]", b"[" * 100_000])
def test_json_that_tells_of_no_message_is_refused(data: bytes) -> None:
    assert len(problems(data)) == 1


@pytest.mark.parametrize("data", [b"", b"Hello\n", b"Subject: no id\n\n"])
def test_a_file_that_is_no_message_is_refused(data: bytes) -> None:
    assert "no message with a Message-ID" in problems(data)[0]


def test_an_option_that_is_no_json_is_refused() -> None:
    assert object_of(None) is None
    with pytest.raises(NotUsable, match="no JSON"):
        object_of("{x}")


def test_with_one_account_any_sender_is_its_own() -> None:
    assert checked({**LEAST, "from": "else@where.example"}, ONE).account == "sales"


def test_silence_is_reckoned_once_it_is_known_when_a_message_was_sent() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db, Path(":memory:"))
        unit = Unit(db, Rules(), SENT_AT, lambda *_: None)
        record_sent(unit, sent_message(date=None))
        assert db.execute("SELECT due_at FROM recipient").fetchall() == [(None,)]
        record_sent(unit, sent_message(date=SENT_AT))
        assert db.execute("SELECT due_at FROM recipient").fetchall() == [(to_ms(SENT_AT),)]
