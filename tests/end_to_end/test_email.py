"""Notices by e-mail through a real Postfix; what comes back about them never causes another event."""

from __future__ import annotations

import asyncio
import email
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from outbox_world import world
from servers.background import BackgroundReceiver
from servers.daemon import imap_account, running, table, until, write_config
from servers.dovecot import Dovecot
from servers.letters import ALICE, sent_copy
from servers.postfix import Postfix, postfix

from mdnwatch import telling
from mdnwatch.model.event import Event
from mdnwatch.model.event_type import EventType
from mdnwatch.sinks import email as email_sink_module
from mdnwatch.sinks.email import EmailSettings
from mdnwatch.store import event_queries

REFUSED = "y@reject.example"


@pytest.fixture
def mta(mailbox: Dovecot) -> Iterator[Postfix]:
    with postfix(mailbox.lmtp_port) as server:
        yield server


def inbox(mailbox: Dovecot) -> list[bytes]:
    # Its directories appear with the first message.
    return [path.read_bytes() for place in ("new", "cur") for path in mailbox.maildir().glob(f"{place}/*")]


def email_sink(mta: Postfix, **more: object) -> str:
    common = {"kind": "email", "name": "team", "to": [ALICE, REFUSED], "sender": ALICE, "return_path": ALICE}
    sink = table("sinks", **{**common, "events": ["recipient.failed"], **more})
    return f'{sink}[sinks.smtp]\nhost = "127.0.0.1"\nport = {mta.port}\ntls = "none"\n'


def lose(mailbox: Dovecot, mta: Postfix, message_id: str) -> None:
    """Send a message that is refused."""
    message = sent_copy(message_id, [REFUSED])
    mailbox.append("Sent", message)
    mta.submit(ALICE, [REFUSED], message)


def test_a_bounce_of_a_notice_causes_no_event(
    home: Path, mailbox: Dovecot, mta: Postfix, receiver: BackgroundReceiver
) -> None:
    offers = [f"<offer-{number}@mail.example>" for number in range(3)]
    with running(write_config(home, imap_account(mailbox), receiver.sink, email_sink(mta))) as daemon:
        for number, offer in enumerate(offers, start=1):
            lose(mailbox, mta, offer)
            # Of each the bounce, the notice of it, and the bounce of the notice.
            _wait_for_mails(mailbox, 3 * number)
        # The third offer is told, so what came of the notices of the first two has been read.
        receiver.wait_for(lambda told: len([one for one in told if one.type == "recipient.failed"]) == len(offers))
        facts = daemon.ask()
    assert facts is not None
    assert facts["reports"] == {"matched": len(offers)}
    bounced = [raw for raw in inbox(mailbox) if b"multipart/report" in raw and b"<mdnwatch.notice." in raw]
    assert len(bounced) == len(offers)
    assert sorted((one.type, one.message_id) for one in receiver.told) == [("recipient.failed", one) for one in offers]
    mails = [email.message_from_bytes(raw) for raw in inbox(mailbox)]
    notices = [mail["Subject"] for mail in mails if mail["Auto-Submitted"] == "auto-generated"]
    assert notices == ["failed: y@reject.example (Offer)"] * len(offers)


def _wait_for_mails(mailbox: Dovecot, count: int) -> None:
    until(lambda: len(inbox(mailbox)) == count, lambda: f"{count} mails, not {len(inbox(mailbox))}")


def test_a_notice_has_no_return_path_unless_one_is_given(
    home: Path, mailbox: Dovecot, mta: Postfix, receiver: BackgroundReceiver
) -> None:
    sink = email_sink(mta, to=[ALICE], return_path="")
    with running(write_config(home, imap_account(mailbox), receiver.sink, sink)):
        lose(mailbox, mta, "<offer@mail.example>")
        _wait_for_mails(mailbox, 2)
    (notice,) = (raw for raw in inbox(mailbox) if b"Message-ID: <mdnwatch.notice." in raw)
    assert b"Return-Path: <>" in notice


@pytest.mark.asyncio
async def test_a_digest_waits_for_its_time_and_tells_all_in_one_mail(
    tmp_path: Path, mailbox: Dovecot, mta: Postfix
) -> None:
    smtp = {"host": "127.0.0.1", "port": mta.port, "tls": "none"}
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%H:%M")
    table = {"name": "team", "to": [ALICE], "sender": ALICE, "smtp": smtp, "digest": [hour_ago], "zone": "UTC"}
    settings = EmailSettings.model_validate(table)
    async with world(tmp_path) as around, around.run(email_sink_module.build(settings, now=around.clock)):
        for number in range(3):
            data = {"id": f"evt_{number}", "recipient": {"address": REFUSED, "summary": "failed"}}
            body = json.dumps({"type": "recipient.failed", "data": data})
            event = Event(f"evt_{number}", EventType.RECIPIENT_FAILED, "one order", body)
            await around.store.run(partial(_tell, event=event, at=around.clock(), settings=settings))
        await around.looked()
        assert set((await around.states()).values()) == {"head"}
        around.pass_time(days=1)
        await around.wait_for_line("event delivered", 3)
    await asyncio.to_thread(_wait_for_mails, mailbox, 1)
    (mail,) = map(email.message_from_bytes, inbox(mailbox))
    assert mail["Subject"] == "3 events: 3 failed"


def _tell(db: sqlite3.Connection, event: Event, at: datetime, settings: EmailSettings) -> None:
    event_queries.insert_event(db, event, at)
    telling.enqueue(db, event, at, [settings])
