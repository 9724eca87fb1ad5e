"""Reports that return more than anybody wants to read, on a real Dovecot."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from servers.dovecot import Dovecot, dovecot
from sources.recorder import Recorder, running

from mdnwatch.mail import reader
from mdnwatch.model.report import Dsn
from mdnwatch.sources import imap

pytestmark = pytest.mark.servers

LIMIT = 256 * 1024
RECIPIENTS = [f"person-{number}@there.example" for number in range(40)]

STATUS = "Reporting-MTA: dns; mx.mail.example\r\n" + "".join(
    f"\r\nFinal-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n" for recipient in RECIPIENTS
)


def line(size: int) -> str:
    return ("x" * 70 + "\r\n") * (size // 72)


def delivery_report(*, words: int, returned: int, wrapped: bool = False) -> bytes:
    """A DSN with so many bytes of text before the report part, and of the original behind it."""
    boundary = "report-boundary"
    body = (
        f"--{boundary}\r\nContent-Type: text/plain\r\n\r\nIt failed.\r\n{line(words)}\r\n"
        f"--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n{STATUS}\r\n"
        f"--{boundary}\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <offer@mail.example>\r\nSubject: Offer\r\n"
        f"From: alice@mail.example\r\n\r\n{line(returned)}\r\n--{boundary}--\r\n"
    )
    content_type = f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"\r\n'
    if wrapped:
        footer = "Content-Type: text/plain\r\n\r\nchecked by the gateway"
        body = f"--outer\r\n{content_type}\r\n{body}\r\n--outer\r\n{footer}\r\n--outer--\r\n"
        content_type = 'Content-Type: multipart/mixed; boundary="outer"\r\n'
    head = (
        "From: MAILER-DAEMON@mx.mail.example\r\nTo: alice@mail.example\r\nSubject: Undelivered Mail\r\n"
        "Message-ID: <dsn@mx.mail.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    )
    return f"{head}{content_type}\r\n{body}".encode()


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with dovecot() as one:
        yield one


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("words", "returned", "wrapped"),
    [(0, 25 * 1024**2, False), (2 * 1024**2, 25 * 1024**2, False), (1024**2, 1024, True)],
    ids=["25 MB returned", "a report part behind 2 MB of text", "wrapped by a gateway"],
)
async def test_a_report_that_is_too_large_is_read_with_all_its_recipients_in_little_memory(
    server: Dovecot, words: int, returned: int, *, wrapped: bool
) -> None:
    server.doveadm("expunge", "-u", server.user, "mailbox", "*", "all")
    table = {"name": "sales", "host": server.host, "port": server.port, "tls": "none", "username": server.user}
    table |= {"password": server.password, "max_message_size": LIMIT, "idle_renewal": "500ms"}
    recorder = Recorder()
    report = delivery_report(words=words, returned=returned, wrapped=wrapped)
    async with running(imap.build(imap.SETTINGS.model_validate(table), recorder.context())):
        await recorder.until(lambda: None in recorder.troubles)
        server.drop([report])
        del report
        tracemalloc.start()
        try:
            await recorder.until(lambda: len(recorder.inbox) == 1, patience=60)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    (message,) = recorder.inbox
    read = reader.read(message.data)
    assert isinstance(read, Dsn)
    assert [block.final_recipient.value for block in read.recipients if block.final_recipient] == RECIPIENTS
    assert read.returned is not None
    assert read.returned.message_id == "<offer@mail.example>"
    assert message.size > LIMIT
    assert len(message.data) < LIMIT
    # Copies on the way from the socket included.
    assert peak < 8 * LIMIT
