"""The email sink: what its mails say and do not ask for, and when a digest is due."""

from __future__ import annotations

import asyncio
import email
import json
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default as policy

import pytest
from pydantic import ValidationError

from mdnwatch.model.notification import Outgoing, Verdict
from mdnwatch.problems import described
from mdnwatch.sinks import email as email_sink
from mdnwatch.sinks.email import EmailSettings

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TABLE = {
    "name": "team",
    "to": ["team@bücher.example", "boss@there.example"],
    "sender": "mdnwatch@here.example",
    "smtp": {"host": "127.0.0.1", "port": 9, "tls": "none"},
}


def settings(**table: object) -> EmailSettings:
    return EmailSettings.model_validate({**TABLE, **table})


def failed(number: int = 1, subject: str = "Offer", why: str = "550 no such user") -> Outgoing:
    data = {
        "id": f"evt_{number}",
        "message": {"message_id": "<offer@here.example>", "account": "sales", "subject": subject, "sent_at": None},
        "recipient": {"address": "bob@there.example", "summary": "failed"},
        "evidence": {"kind": "failed", "fields": {"diagnostic_code": f"smtp; {why}"}},
        "authenticity": {"grade": "consistent"},
    }
    body = json.dumps({"type": "recipient.failed", "timestamp": "2026-11-23T08:59:00.000Z", "data": data})
    return Outgoing(f"evt_{number}", "recipient.failed", body.encode(), 1)


def composed(*notifications: Outgoing, **table: object) -> EmailMessage:
    raw = email_sink._composed(settings(**table), notifications, NOW)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    message = email.message_from_bytes(raw, policy=policy)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def test_a_mail_tells_of_its_event_and_asks_for_nothing() -> None:
    message = composed(failed())
    assert message["To"] == "team@xn--bcher-kva.example, boss@there.example"
    assert message["Subject"] == "failed: bob@there.example (Offer)"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    asked = {"disposition-notification-to", "return-receipt-to", "x-confirm-reading-to", "reply-to"}
    assert asked.isdisjoint(name.lower() for name in message)
    text = message.get_content().replace("\r\n", "\n")
    assert "bob@there.example: failed\n  550 no such user\n" in text
    assert "<offer@here.example>" in text
    assert "evt_1" in text


def test_the_same_events_have_the_same_message_id_in_whatever_order() -> None:
    one, other = composed(failed(1), failed(2)), composed(failed(2), failed(1))
    assert one["Message-ID"] == other["Message-ID"]
    assert composed(failed(1))["Message-ID"] != composed(failed(2))["Message-ID"]


def test_a_digest_counts_in_its_subject_and_tells_all() -> None:
    message = composed(*map(failed, range(30)))
    assert message["Subject"] == "30 events: 30 failed"
    assert message.get_content().count("550 no such user") == 30


@pytest.mark.parametrize("text", ["a\r\nBcc: eve@evil.example\r\n\r\nbody", "\u202eevil", "ü" * 500, "\ud800", ""])
def test_foreign_words_stay_words(text: str) -> None:
    message = composed(failed(subject=text, why=text))
    assert message["Bcc"] is None
    assert "\u202e" not in message["Subject"] + message.get_content()
    assert len(message["Subject"].encode()) <= 120


@pytest.mark.parametrize(
    ("now", "zone", "due"),
    [
        ("2026-11-23T05:00Z", "UTC", "2026-11-23T08:00Z"),
        ("2026-11-23T08:00Z", "UTC", "2026-11-23T16:30Z"),
        ("2026-11-23T16:30Z", "UTC", "2026-11-24T08:00Z"),
        ("2026-11-23T05:00Z", "Europe/Berlin", "2026-11-23T07:00Z"),
        # Summer time ends in the night of the 25th of October.
        ("2026-10-24T15:00Z", "Europe/Berlin", "2026-10-25T07:00Z"),
        ("2026-10-23T15:00Z", "Europe/Berlin", "2026-10-24T06:00Z"),
        ("2026-11-23T05:00Z", "Pacific/Kiritimati", "2026-11-23T18:00Z"),
    ],
)
def test_a_digest_is_due_at_the_next_of_its_times(now: str, zone: str, due: str) -> None:
    held = settings(digest=["16:30", "08:00"], zone=zone).holds_until(datetime.fromisoformat(now))
    assert held == datetime.fromisoformat(due)


def test_without_a_zone_a_time_is_the_machines() -> None:
    held = settings(digest=["08:00"]).holds_until(NOW)
    assert held is not None
    assert held.astimezone().strftime("%H:%M") == "08:00"


def test_without_a_digest_nothing_is_held_and_with_one_many_fit_into_a_mail() -> None:
    assert settings().holds_until(NOW) is None
    assert (settings().concurrency, settings(digest=["08:00"]).concurrency) == (2, 256)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"to": []}, "to: must not be empty"),
        ({"to": ["jürgen@there.example"]}, 'to: "jürgen@there.example" needs SMTPUTF8'),
        ({"sender": "Mdnwatch <mdnwatch@here.example>"}, "sender: "),
        ({"digest": ["8:00"]}, 'digest: "8:00" is no time of day: write it like "08:00"'),
        ({"digest": ["24:00"]}, 'digest: "24:00" is no time of day'),
        ({"zone": "Berlin"}, 'zone: "Berlin" is no time zone of this machine'),
        ({"smtp": {"host": "smtp.example.org", "tls": "none"}}, "smtp.tls: "),
    ],
)
def test_what_cannot_work_is_told_at_once(table: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**table)
    assert described(caught.value, EmailSettings)[0].startswith(told)


def test_a_server_that_is_away_makes_the_endpoint_unavailable_for_all_of_a_digest() -> None:
    async def send() -> list[Verdict]:
        sink = email_sink.build(settings(digest=["08:00"]), now=lambda: NOW)
        outcomes = await asyncio.gather(*(sink.send(failed(number)) for number in range(3)))
        await sink.close()
        assert outcomes[0].cause.startswith("127.0.0.1:9: ")
        return [outcome.verdict for outcome in outcomes]

    assert asyncio.run(send()) == [Verdict.UNAVAILABLE] * 3
