from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from explanations.situations import BOB, CAROL, DAY, NO_USER, OFFER, SIEVE, Fact, config_of, record
from facts import SENT_AT, dsn, head, mdn, rfc822, sent_message

from mdnwatch import case_file, explain
from mdnwatch.errors import MdnwatchError
from mdnwatch.model.report import DispositionType, Typed
from mdnwatch.store.migrate import migrate

NOW = SENT_AT + DAY
FACTS: Sequence[Fact] = [
    sent_message(recipients=[BOB, CAROL, "dave@else.example", "erin@there.example"], mdn=True),
    mdn(head(), reporting_ua="pc.there.example; Thunderbird 128"),
    mdn(
        replace(SIEVE, from_address="postmaster@else.example"),
        disposition_type=DispositionType.DELETED,
        action_mode="automatic-action",
        final="dave@else.example",
    ),
    mdn(head("<forged@x>", date=SENT_AT - 14 * DAY)),
    dsn(head("<d@x>"), [replace(NO_USER, final_recipient=rfc822(CAROL))]),
]
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and its text; every element must be closed where it may be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


def made(facts: Sequence[Fact] = FACTS, page: Path = Path("case.html"), query: str = OFFER) -> case_file.Case:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db, Path(":memory:"))
        record(db, config_of({}), facts, NOW)
        known = explain.answer(db, {"query": query, "whole": True}, explain.Asker(config_of({}), NOW))
    return case_file.made(known, page, NOW)


def test_a_page_has_each_report_its_fields_its_place_and_what_was_told() -> None:
    case = made()
    page = Page(case.html)
    assert page.open == []
    assert [about["id"] for tag, about in page.elements if tag == "section"] == [
        "known", "limits", "reports", "mails", "events",
    ]  # fmt: skip
    for part in (
        f"{BOB}: displayed",
        "Reporting-UA: pc.there.example; Thunderbird 128",
        "Diagnostic-Code: smtp; 550 5.1.1 No such user here",
        "its field Original-Message-ID names your message",
        "account sales, folder INBOX, UID 2 (UIDVALIDITY 1)",
        "2026-11-23 10:00:00 UTC",
        "was set aside and changed nothing",
        "recipient.displayed",
        "evt_",
        "no proof that the recipient cannot deny",
        "RFC 8098 §6.3",
    ):
        assert part in page.text
    assert " ago" not in page.text


def test_a_page_needs_nothing_from_outside_and_runs_nothing() -> None:
    elements = Page(made().html).elements
    assert {tag for tag, _ in elements}.isdisjoint({"script", "link", "img", "iframe", "object", "form", "a"})
    names = {name for _, about in elements for name in about}
    assert names <= {"lang", "charset", "http-equiv", "content", "name", "id", "class"}
    (policy,) = [about["content"] for _, about in elements if about.get("http-equiv")]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_hostile_text_is_shown_and_is_no_markup() -> None:
    hostile = "<script>alert(1)</script>\"'&{{7*7}}\u202e</table>"
    sent = replace(sent_message(), subject=hostile, reference=hostile)
    failed = replace(NO_USER, diagnostic_code=Typed("smtp", f"550 {hostile}\x1b[31m"))
    case = made([sent, dsn(head("<d@x>"), [failed])])
    page = Page(case.html)
    assert page.open == []
    assert "script" not in {tag for tag, _ in page.elements}
    shown = "<script>alert(1)</script>\"'&{{7*7}}</table>"
    assert f'Message "{shown}"' in page.text
    assert f"Diagnostic-Code: smtp; 550 {shown}" in page.text
    assert not {"\x1b", "\u202e"} & set(case.html)


def test_the_json_beside_has_every_field_and_the_page_names_its_hash(tmp_path: Path) -> None:
    case = made(page=tmp_path / "case.html")
    case.write(force=False)
    raw = (tmp_path / "case.html.json").read_bytes()
    assert hashlib.sha256(raw).hexdigest() in (tmp_path / "case.html").read_text("utf-8")
    data = json.loads(raw)
    (message,) = data["messages"]
    bob = next(one for one in message["recipients"] if one["address"] == BOB)
    told = {piece["grade"]: piece for piece in bob["evidence"]}
    assert set(told) == {"consistent", "contradicted"}
    piece = told["consistent"]
    assert piece["fields"]["reportingUA"] == "pc.there.example; Thunderbird 128"
    assert (piece["rung"], piece["claimed_at"]) == ("original-message-id", "2026-11-23T10:00:00Z")
    assert {event["type"] for event in bob["told"]} == {"recipient.displayed"}
    assert data["does_not_prove"][0]["source"] == "RFC 8098 §6.3"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_case_file_is_not_written_over_another_unasked(tmp_path: Path) -> None:
    case = made(page=tmp_path / "case.html")
    case.data.write_text("of somebody", "utf-8")
    with pytest.raises(MdnwatchError, match=r"case\.html\.json: is there already"):
        case.write(force=False)
    assert not case.page.exists()
    case.write(force=True)
    assert json.loads(case.data.read_text("utf-8"))["case_file"] == case_file.VERSION


@pytest.mark.parametrize("query", ["<other@mail.example>", BOB])
def test_of_what_is_no_known_message_there_is_no_case(query: str) -> None:
    with pytest.raises(MdnwatchError, match="no message with this Message-ID is known"):
        made(query=query)


def test_all_recipients_of_a_message_stand_in_its_case() -> None:
    everybody = [f"p{n:03}@there.example" for n in range(200)]
    (message,) = json.loads(made([sent_message(recipients=everybody)]).json)["messages"]
    assert [one["address"] for one in message["recipients"]] == everybody
