"""Events of every kind in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mdnwatch.event_words import Words, when, why_of, words_of

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


def event(kind: str = "recipient.failed", **data: object) -> dict[str, Any]:
    return {"type": kind, "timestamp": "2026-11-23T14:58:06.120Z", "data": data}


def why(fields: Mapping[str, object], **evidence: object) -> str:
    return why_of({"evidence": {"kind": "failed", "fields": fields, **evidence}})


def test_a_recipients_event_tells_who_what_why_about_which_message_and_how_surely() -> None:
    told = event(
        message={"subject": "Offer: prüfen"},
        recipient={"address": "bob@there.example", "summary": "failed"},
        evidence={"kind": "failed", "fields": {"diagnostic_code": "smtp; 550 5.1.1 User unknown"}},
        authenticity={"grade": "consistent"},
    )
    at = datetime(2026, 11, 23, 14, 58, 6, 120_000, UTC)
    assert words_of(told) == Words(
        at, "bob@there.example", "failed", "550 5.1.1 User unknown", "Offer: prüfen", "consistent"
    )


@pytest.mark.parametrize(
    ("told", "who", "what", "reason"),
    [
        (event("sink.down", sink="crm", reason="HTTP 503"), "crm", "down", "HTTP 503"),
        (event("source.up", source="sales", reason="it answers again"), "sales", "up", "it answers again"),
        (
            event(
                "report.suspicious",
                account="sales",
                recipient="bob@there.example",
                authenticity={"reasons": [{"code": "x", "text": "the report is dated more than 24 hours before it"}]},
            ),
            "bob@there.example",
            "suspicious",
            "the report is dated more than 24 hours before it",
        ),
        (
            event("report.ambiguous", account="sales", candidates=[{}, {}]),
            "sales",
            "ambiguous",
            "it could be about any of 2 messages",
        ),
        (event("report.malformed", account="sales", reason="no fields"), "sales", "malformed", "no fields"),
        (event("report.suspicious", account="sales", summary="more"), "sales", "suspicious", "more"),
        (
            event(
                "recipient.overdue",
                recipient={"address": "bob@there.example", "summary": "relayed"},
                overdue={"after_seconds": 259200},
            ),
            "bob@there.example",
            "overdue",
            "nothing heard for 3 days after it was sent",
        ),
        (
            event("message.settled", expired=True, recipients={"total": 3, "displayed": 1, "unknown": 2}),
            "3 recipient(s)",
            "settled",
            "its watch is over: 1 displayed, 2 unknown",
        ),
    ],
)  # fmt: skip
def test_other_events_tell_what_they_are_about(told: dict[str, Any], who: str, what: str, reason: str) -> None:
    words = words_of(told)
    assert (words.who, words.what, words.why) == (who, what, reason)


@pytest.mark.parametrize("told", [{}, {"data": 7}, {"data": {"evidence": [], "recipient": None}, "timestamp": 7}])
def test_an_event_that_lacks_everything_gives_empty_words(told: dict[str, Any]) -> None:
    assert words_of(told) == Words(None, "", "", "", "", "")


def test_the_recipients_own_address_is_not_repeated() -> None:
    fields = {"diagnostic_code": "smtp; 550 5.1.1 <bob@there.example>: Recipient address rejected: User unknown"}
    told = event(recipient={"address": "bob@there.example"}, evidence={"kind": "failed", "fields": fields})
    assert words_of(told).why == "550 5.1.1 Recipient address rejected: User unknown"


def test_a_receipt_names_the_program_that_sent_it() -> None:
    receipt = {"disposition": {"type": "displayed"}}
    assert why({**receipt, "reportingUA": "Mozilla Thunderbird"}) == "receipt of Mozilla Thunderbird"
    assert why({**receipt, "reportingUA": "pc.example; KMail 5.22"}) == "receipt of KMail 5.22"
    assert why(receipt) == "receipt of the recipient's mail program"
    refusal = {**receipt, "reportingUA": "mx.mail.example; Dovecot Mail Delivery Agent"}
    assert why(refusal, reason="refused") == "refused by Dovecot Mail Delivery Agent"


def test_a_success_tells_the_action_and_who_reports() -> None:
    fields = {"action": "delivered (to mailbox)", "status": "2.1.5", "reporting_mta": "dns; mx.example"}
    assert why(fields, kind="delivered") == "delivered (to mailbox) by mx.example"
    ok = {"action": "relayed", "diagnostic_code": "smtp; 250 2.1.5 Ok", "reporting_mta": "dns; mx.example"}
    assert why(ok, kind="relayed") == "relayed by mx.example"


def test_a_failure_without_diagnostic_and_evidence_without_fields_tell_what_there_is() -> None:
    assert why({"action": "failed", "status": "5.1.1"}) == "failed"
    assert why({}, kind="auto_replied") == "auto replied"


def test_a_member_and_a_hand_over_are_named() -> None:
    assert why({"action": "failed"}, member="ghost@there.example") == "ghost@there.example: failed"
    handed_over = why({"action": "delivered"}, kind="delivered", handed_over_to="mx.example")
    assert handed_over == "delivered (handed over to mx.example)"


def test_foreign_text_cannot_drive_the_terminal() -> None:
    words = words_of(event(recipient={"address": "a\x1b[2Jb\n", "summary": "x"}, message={"subject": "\u202eabc"}))
    assert (words.who, words.subject) == ("a[2Jb", "abc")


@pytest.mark.parametrize(
    ("past", "told"),
    [
        (timedelta(seconds=-1), "now"),
        (timedelta(seconds=1), "now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=6, hours=23), "6 d ago"),
        (timedelta(days=9), f"{(NOW - timedelta(days=9)).astimezone():%Y-%m-%d}"),
        (timedelta(days=-9), f"{(NOW + timedelta(days=9)).astimezone():%Y-%m-%d}"),
    ],
)
def test_times_are_told_as_people_do(past: timedelta, told: str) -> None:
    assert when(NOW - past, NOW) == told


def test_without_a_now_the_time_of_day_is_told() -> None:
    assert when(NOW, None) == f"{NOW.astimezone():%H:%M:%S}"
    assert when(None, NOW) == "?"
