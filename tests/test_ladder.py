"""From the bytes of a report to the message and recipient that it is about: each rung, and each spelling."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from facts import OURS, SENT_AT, sent_message

from mdnwatch import status
from mdnwatch.mail.sent import read_sent
from mdnwatch.model.received import Place, RawMessage, Role
from mdnwatch.model.sent import SentMessage
from mdnwatch.model.token import Spot, make
from mdnwatch.pipeline import ReadReport, read_item
from mdnwatch.placement import record_report, record_sent
from mdnwatch.store.migrate import migrate
from mdnwatch.unit import Rules, Unit

OFFER, BOB = "<offer@mail.example>", "bob@there.example"
STAMP, KEYS = "abcd" + "a" * 16, {"abcd": b"k" * 32}
IN_ADDRESS = make(STAMP, Spot.RETURN_ADDRESS, KEYS["abcd"])
SES = "<0102018c-offer-000000@eu-west-1.amazonses.com>"


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection, Path(":memory:"))
        yield connection


def heard(db: sqlite3.Connection, sent: Sequence[SentMessage], *mails: bytes, rules: Rules | None = None) -> list[str]:
    """What became of each mail; the bodies of the events stand in the database."""
    unit = Unit(db, rules or Rules(), SENT_AT + timedelta(days=1), lambda *_: None)
    for one in sent:
        record_sent(unit, one)
    outcomes = []
    for uid, mail in enumerate(mails, 1):
        place = Place("sales", "INBOX", 1, uid)
        item = read_item(RawMessage(place, Role.INBOX, mail, len(mail), SENT_AT + timedelta(hours=2)), token_keys=KEYS)
        assert isinstance(item, ReadReport), item
        outcomes.append(record_report(unit, item.report, item.evidence, place))
    return outcomes


def recipients(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return db.execute(
        "SELECT iif(address = '', mailbox, address), addressed FROM recipient WHERE state IS NOT NULL"
    ).fetchall()


def events(db: sqlite3.Connection) -> list[dict[str, Any]]:
    return [json.loads(body) for (body,) in db.execute("SELECT body FROM event ORDER BY rowid")]


def receipt(
    *,
    original: str | None = None,
    final: str = f"rfc822; {BOB}",
    original_recipient: str | None = None,
    disposition: str = "manual-action/MDN-sent-manually; displayed",
    sender: str = BOB,
    **header: str,
) -> bytes:
    fields = {"From": sender, "To": OURS, "Message-ID": "<r@there.example>", **header}
    report = {
        "Original-Recipient": original_recipient,
        "Final-Recipient": final,
        "Original-Message-ID": original,
        "Disposition": disposition,
    }
    return _report("disposition-notification", fields, [report])


def bounce(
    *, envelope_id: str | None = None, returned: Mapping[str, str] | None = None, text: str = "", **block: str
) -> bytes:
    fields = {"From": "mailer-daemon@mx.example", "To": OURS, "Message-ID": "<d@mx.example>"}
    message = {"Reporting-MTA": "dns; mx.example", "Original-Envelope-Id": envelope_id}
    recipient = {"Final_Recipient": f"rfc822; {BOB}", "Action": "failed", "Status": "5.1.1", **block}
    return _report("delivery-status", fields, [message, recipient], text=text, returned=returned)


def _report(
    kind: str,
    header: Mapping[str, str],
    blocks: Sequence[Mapping[str, str | None]],
    *,
    text: str = "",
    returned: Mapping[str, str] | None = None,
) -> bytes:
    lines = {**header, "Content-Type": f"multipart/report; report-type={kind}; boundary=b"}
    parts = [
        f"Content-Type: text/plain\n\n{text}\n",
        f"Content-Type: message/{kind}\n\n" + "\n".join(map(_lines, blocks)),
    ]
    if returned is not None:
        parts.append(f"Content-Type: text/rfc822-headers\n\n{_lines(returned)}")
    return (_lines(lines) + "\n" + "".join(f"--b\n{part}\n" for part in parts) + "--b--\n").encode()


def _lines(fields: Mapping[str, str | None]) -> str:
    return "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in fields.items() if value is not None)


SNS = {
    "notificationType": "Bounce",
    "mail": {"messageId": SES.split("@", maxsplit=1)[0][1:], "commonHeaders": {"messageId": OFFER, "subject": "Offer"}},
    "bounce": {"bouncedRecipients": [{"emailAddress": BOB, "action": "failed", "status": "5.1.1"}]},
}


@pytest.mark.parametrize(
    ("rung", "mail"),
    [
        ("token", receipt(Delivered_To=f"alice+{IN_ADDRESS}@mail.example")),
        ("token", receipt(To=f"Alice <alice+{IN_ADDRESS.upper()}@mail.example>")),
        ("token", bounce(returned={"Return-Path": f"<alice+{IN_ADDRESS}@mail.example>", "Subject": "Offer"})),
        ("envelope-id", bounce(envelope_id="QQ+1")),
        ("envelope-id", bounce(envelope_id="QQ+2B1")),
        ("envelope-id", bounce(envelope_id=OFFER)),  # Haraka
        ("original-message-id", receipt(original=OFFER)),
        ("original-message-id", receipt(original="offer@mail.example")),
        ("original-message-id", receipt(original="\n <offer@mail.example>")),
        ("original-message-id", receipt(original="=?utf-8?q?=3Coffer=40mail=2Eexample=3E?=")),
        ("original-message-id", receipt(original=f"<else@where.example> {OFFER}")),
        ("original-message-id", receipt(original='"offer@mail.example" (the original)')),
        ("original-message-id", receipt(original="%3Coffer%40mail.example%3E")),
        # What the provider made of it, registered.
        ("original-message-id", receipt(original=SES)),
        ("returned-message-id", bounce(returned={"Message-ID": OFFER})),
        (
            "returned-message-id",
            bounce(returned={"Message-ID": "<x@outlook.com>", "X-Microsoft-Original-Message-ID": OFFER}),
        ),
        ("returned-message-id", bounce(returned={"X-Google-Original-Message-ID": OFFER, "Subject": "Offer"})),
        ("returned-message-id", b"From: no-reply@sns.example\nX-Amz-Sns-Message-Id: 1\n\n" + json.dumps(SNS).encode()),
        ("in-reply-to", receipt(In_Reply_To=OFFER)),
        ("references", receipt(References=f"{OFFER} <else@where.example>")),
        ("inline-message-id", bounce(text=f"It could not be delivered.\nMessage-ID: {OFFER}")),
    ],
)
def test_each_rung_finds_the_message_and_is_counted(db: sqlite3.Connection, rung: str, mail: bytes) -> None:
    sent = replace(sent_message(OFFER, envelope_id="QQ+1"), other_message_ids=(SES,), tokens=((STAMP, None),))
    assert heard(db, [sent], mail) == ["matched"]
    assert recipients(db) == [(BOB, 1)]
    assert {name: count for name, count in status.overview(db)["rungs"].items() if count} == {rung: 1}


def test_where_a_provider_replaces_the_id_the_lower_rungs_are_tried(db: sqlite3.Connection) -> None:
    mail = receipt(original="<renamed@provider.example>", References=OFFER)
    assert heard(db, [sent_message(OFFER)], mail) == ["waiting"]
    again = mail.replace(b"<r@there", b"<r2@there")
    assert heard(db, [], again, rules=Rules(replaces_message_id=frozenset({"sales"}))) == ["matched"]


def test_a_copy_that_a_provider_has_renamed_is_known_by_both_ids() -> None:
    copy = b"From: alice@mail.example\nTo: bob@there.example\nMessage-ID: <new@outlook.com>\n"
    sent = read_sent(copy + f"X-Microsoft-Original-Message-ID: {OFFER}\n\n".encode(), "sales")
    assert sent is not None
    assert (sent.message_id, sent.other_message_ids) == ("<new@outlook.com>", (OFFER,))


def test_an_id_used_twice_is_ambiguous_and_names_both(db: sqlite3.Connection) -> None:
    twice = [sent_message(OFFER), replace(sent_message(OFFER), from_address="dave@mail.example")]
    assert heard(db, twice, receipt(original=OFFER)) == ["ambiguous"]
    assert recipients(db) == []
    (event,) = events(db)
    assert event["type"] == "report.ambiguous"
    assert event["data"]["candidates"] == [
        {"message_id": OFFER, "from": OURS},
        {"message_id": OFFER, "from": "dave@mail.example"},
    ]


def test_an_id_that_was_cut_is_no_guess(db: sqlite3.Connection) -> None:
    assert heard(
        db, [sent_message(OFFER)], receipt(original=OFFER[:-5]), bounce(returned={"Message-ID": OFFER[:-3]})
    ) == [
        "waiting",
        "waiting",
    ]
    assert events(db) == []


@pytest.mark.parametrize(
    ("addressed", "written"),
    [
        (BOB, "rfc822;bob@there.example"),
        (BOB, "RFC822 ; <bob@there.example>"),
        (BOB, "bob@there.example"),
        (BOB, "rfc822; BOB@There.Example"),
        (BOB, "rfc822; bob@there.example."),
        (BOB, 'rfc822; "bob"@there.example'),
        (BOB, "rfc822; KMail User <bob@there.example>"),
        (BOB, 'rfc822; "User, KMail" <bob@there.example>'),
        (BOB, "rfc822; bob@there.example (Bob Smith)"),
        (BOB, "rfc822; bob+40there.example"),
        ("bob+offers@there.example", "rfc822; bob+2Boffers@there.example"),
        ("bob+offers@there.example", "rfc822; bob@there.example"),
        (BOB, "rfc822; bob+anything@there.example"),
        ('"bob smith"@there.example', 'rfc822; "bob smith"@there.example'),
        ('"bob@home"@there.example', 'rfc822; "bob\\@home"@there.example'),
        ("bjørn@there.example", "utf-8; bj\\x{F8}rn@there.example"),
        ("bjørn@there.example", "utf-8; bjørn@there.example"),
        ("bob@bücher.example", "rfc822; bob@xn--bcher-kva.example"),
    ],
)
def test_a_recipient_is_found_however_it_is_written(db: sqlite3.Connection, addressed: str, written: str) -> None:
    sent = sent_message(OFFER, [addressed, "carol@there.example"])
    heard(
        db,
        [sent],
        receipt(original=OFFER, final=written),
        bounce(returned={"Message-ID": OFFER}, Final_Recipient=written),
    )
    assert recipients(db) == [(addressed, 1)]


def test_a_sub_address_that_could_be_two_recipients_is_neither(db: sqlite3.Connection) -> None:
    sent = sent_message(OFFER, ["bob+a@there.example", "bob+b@there.example"])
    heard(db, [sent], receipt(original=OFFER))
    assert recipients(db) == [(BOB, 0)]


def test_a_refusal_by_postmaster_is_told_of_the_recipient_it_names(db: sqlite3.Connection) -> None:
    mail = receipt(
        original=OFFER,
        sender="postmaster@there.example",
        disposition="automatic-action/MDN-sent-automatically; deleted",
    )
    heard(db, [sent_message(OFFER, [BOB, "carol@there.example"])], mail)
    (event,) = events(db)
    assert event["type"] == "recipient.failed"
    assert (event["data"]["recipient"]["address"], event["data"]["evidence"]["reason"]) == (BOB, "refused")


@pytest.mark.parametrize(("expanded", "flags"), [(False, []), (True, ["partly_failed"])])
def test_a_failure_behind_an_alias_or_list_names_the_member(
    db: sqlite3.Connection,
    expanded: bool,  # noqa: FBT001 - a column of the table
    flags: list[str],
) -> None:
    returned = {"Message-ID": OFFER}
    list_report = bounce(returned=returned, Final_Recipient="rfc822; team@there.example", Action="expanded")
    failure = bounce(
        returned=returned,
        Original_Recipient="rfc822; team@there.example",
        Final_Recipient="rfc822; member@else.example",
    ).replace(b"<d@", b"<d2@")
    heard(db, [sent_message(OFFER, ["team@there.example"])], *([list_report] if expanded else []), failure)
    event = next(event for event in events(db) if event["type"] == "recipient.failed")
    assert event["data"]["evidence"]["member"] == "member@else.example"
    assert event["data"]["recipient"]["address"] == "team@there.example"
    assert event["data"]["recipient"]["flags"] == flags
