from __future__ import annotations

import json
from datetime import timedelta

import pytest
from facts import SENT_AT, block, dsn, head, mdn

from mdnwatch.model.authenticity import Grade, Graded
from mdnwatch.model.event import (
    MAX_BODY_BYTES,
    Event,
    MessageFacts,
    RecipientFacts,
    event_type_of,
    recipient_event,
    recipient_event_id,
    report_event,
)
from mdnwatch.model.event_type import EventType
from mdnwatch.model.evidence import Evidence, Kind, extract
from mdnwatch.model.sent import Requested
from mdnwatch.model.state import RecipientState, add

MESSAGE = MessageFacts(
    "<offer@mail.example>",
    "alice@mail.example",
    "sales",
    "Offer",
    SENT_AT,
    Requested(mdn=True),
    "deal-7",
    '{"customer":4711}',
)


def displayed(reporting_ua: str = "Mozilla Thunderbird") -> Evidence:
    return extract(mdn(head(), reporting_ua=reporting_ua), "r1", SENT_AT + timedelta(hours=1))[0]


def event(piece: Evidence) -> Event:
    before = RecipientState()
    return recipient_event(
        identifier="evt_1",
        sequence=1,
        message=MESSAGE,
        recipient=RecipientFacts("bob@there.example", addressed=True, before=before, after=add(before, piece)),
        piece=piece,
        graded=Graded(Grade.DOUBTFUL, ("foreign-sender",)),
        rung="original-message-id",
        now=SENT_AT + timedelta(hours=2),
    )


def test_an_event_names_message_recipient_evidence_rung_and_grade() -> None:
    assert json.loads(event(displayed()).body) == {
        "type": "recipient.displayed",
        "timestamp": "2026-11-23T11:00:00.000Z",
        "data": {
            "id": "evt_1",
            "sequence": 1,
            "message": {
                "message_id": "<offer@mail.example>",
                "account": "sales",
                "from": "alice@mail.example",
                "subject": "Offer",
                "sent_at": "2026-11-23T09:00:00.000Z",
                "reference": "deal-7",
                "metadata": {"customer": 4711},
                "requested": {"mdn": True, "dsn": []},
            },
            "recipient": {
                "address": "bob@there.example",
                "addressed": True,
                "summary": "displayed",
                "delivery": "delivered",
                "reading": "displayed",
                "flags": [],
                "times": {
                    "displayed": {
                        "first_claimed": "2026-11-23T10:00:00.000Z",
                        "last_claimed": "2026-11-23T10:00:00.000Z",
                        "first_observed": "2026-11-23T10:00:00.000Z",
                        "last_observed": "2026-11-23T10:00:00.000Z",
                    }
                },
                "before": {"summary": "unknown", "delivery": "unknown", "reading": "none", "flags": []},
            },
            "evidence": {
                "report_id": "r1",
                "block": 0,
                "kind": "displayed",
                "claimed_at": "2026-11-23T10:00:00.000Z",
                "observed_at": "2026-11-23T10:00:00.000Z",
                "fields": {
                    # conformance 84 to 86: the property names and forms of RFC 9007
                    "disposition": {
                        "actionMode": "manual-action",
                        "sendingMode": "mdn-sent-manually",
                        "type": "displayed",
                    },
                    "reportingUA": "Mozilla Thunderbird",
                    "finalRecipient": "rfc822; bob@there.example",
                    "originalMessageId": "<offer@mail.example>",
                },
            },
            "correlation": {"rung": "original-message-id"},
            "authenticity": {
                "grade": "doubtful",
                "reasons": [
                    {
                        "code": "foreign-sender",
                        "text": "the report comes from neither the recipient nor its domain",
                    }
                ],
            },
        },
    }


def test_the_same_facts_give_the_same_id_however_the_address_is_written() -> None:
    piece = displayed()
    one = recipient_event_id("<m@x>", "a@x", "bob@There.Example", piece)
    assert one == recipient_event_id("<m@x>", "a@x", "bob@there.example", piece)
    assert one != recipient_event_id("<m@x>", "a@x", "carol@there.example", piece)
    # Standard Webhooks signs "id.timestamp.body".
    assert "." not in one


def test_members_of_a_list_fail_one_by_one() -> None:
    blocks = [block(f"m{n}@y.example", original="list@x.example") for n in range(3)]
    pieces = extract(dsn(head(), blocks), "r", SENT_AT)
    assert len({recipient_event_id("<m@x>", "a@x", "list@x.example", piece) for piece in pieces}) == len(blocks)


@pytest.mark.parametrize("text", ["ü" * 5000, "x" * 50_000, "\U0001f600" * 4000])
def test_a_body_is_bounded_whatever_strangers_write(text: str) -> None:
    piece = displayed(reporting_ua=text)
    body = event(piece).body
    assert len(body.encode()) <= MAX_BODY_BYTES
    assert json.loads(body)["data"]["message"]["message_id"] == "<offer@mail.example>"


def test_every_kind_of_evidence_but_a_warning_has_its_event() -> None:
    types = {kind: event_type_of(kind) for kind in Kind}
    assert types.pop(Kind.WARNING) is None
    assert {kind.value for kind in types} == {str(one).removeprefix("recipient.") for one in types.values()}


def test_events_of_one_recipient_share_their_order_and_events_of_reports_have_their_own() -> None:
    assert event(displayed()).order_key == event(displayed("other")).order_key
    data = {"account": "sales", "folder": "INBOX", "reason": "no field"}
    one, other = (report_event(EventType.REPORT_MALFORMED, report, data, SENT_AT) for report in ("r1", "r2"))
    assert one.order_key != other.order_key
