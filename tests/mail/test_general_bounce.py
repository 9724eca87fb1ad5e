"""The general reader: bounces of software that no format knows, and what merely looks like one."""

from __future__ import annotations

import pytest

from mdnwatch.mail.reader import read
from mdnwatch.model.report import HEURISTIC, Action, Dsn

DAEMON = "From: Mail Delivery <MAILER-DAEMON@mx.example>\nReturn-Path: <>\nTo: sender@our.example\nSubject: %s\n\n"
PERSON = "From: %s\nTo: sender@our.example\nReturn-Path: <bob@x.example>\nSubject: %s\n\n"
ORIGINAL = """Received: from a by b; Thu, 29 Apr 2010 23:34:45 +0900
From: sender@our.example
To: r@x.example
Message-ID: <orig@our.example>
Subject: offer

please answer to someone@else.example
"""


def bounce(text: str, subject: str = "Undeliverable mail") -> Dsn:
    report = read((DAEMON % subject + text).encode())
    assert isinstance(report, Dsn), report
    return report


def recipients(report: Dsn) -> list[tuple[str | None, str, str | None]]:
    return [
        (block.final_recipient.value if block.final_recipient else None, block.action.value, block.status)
        for block in report.recipients
    ]


def test_what_no_format_claims_is_marked_as_understood_by_its_words() -> None:
    report = bounce("Your message could not be delivered to:\n\n  r@x.example\n\n550 5.1.1 No such user\n")
    assert report.format == "general"
    assert HEURISTIC in report.defects
    assert recipients(report) == [("r@x.example", "failed", "5.1.1")]


@pytest.mark.parametrize(
    "text",
    [
        "Failed recipient(s):\nr@x.example\n\nError message:\n550 - no such user here\n",
        "It was refused.\n550 5.1.1 User unknown\n\nThe following recipients were affected:\n    r@x.example\n",
        "Your message could not be sent.\nAddressed To: r@x.example\n\nr@x.example: [192.0.2.5], 550 No such user\n",
        "SMTP Server <mta.x.example> rejected recipient <r@x.example>\n  It responded as follows: [550 User unknown]\n",
        "Failed to deliver to 'r@x.example'\nLOCAL module(account r) reports:\n account is full (quota exceeded)\n",
        "The email below could not be delivered to the following user:\n\nr@x.example\n",
        "Unable to deliver mail.\n\nUser's mailbox is full: <r@x.example>\n",
        "Recipient: [SMTP:r@x.example]\nReason: Remote host said: 550 5.1.1 No such user\n",
        "Your message to: r@x.example\nwas blocked by our Spam Firewall. It has NOT BEEN DELIVERED.\n",
        "<r@x.example>:\nmx.x.example [192.0.2.7]:\n>>> RCPT TO:<r@x.example>\n<<< 550 5.1.1 User Unknown\n",
        "The mail could not be delivered because the address r@x.example is unknown.\n",
        "554 <r@x.example>... Host unknown\nYour mail is undeliverable.\n",
        "Ihre Nachricht konnte nicht zugestellt werden.\n\nEmpfänger: r@x.example\nGrund: Postfach voll\n",
        "Votre message n'a pas pu être remis au destinataire suivant :\n\n    r@x.example\n",
        "No se pudo entregar su mensaje al destinatario:\nr@x.example\n",
        "Impossibile consegnare il messaggio al destinatario: r@x.example\n",
        "Не удалось доставить письмо получателю: r@x.example\n",  # noqa: RUF001 - Russian
        "以下の宛先にメールを送信できませんでした。\n\nr@x.example\n\nエラー: 550 Unknown user\n",
        "您的邮件无法送达收件人:\nr@x.example\n",
        "Undeliverable.\nrfc822 recipient: rfc822;r@x.example\n",
    ],
)
@pytest.mark.parametrize("returned", ["", "\n----- Original message -----\n\n" + ORIGINAL, "\n" + ORIGINAL])
def test_the_recipient_is_found_where_software_puts_it(text: str, returned: str) -> None:
    report = bounce(text + returned)
    assert [address for address, _, _ in recipients(report)] == ["r@x.example"]
    if returned:
        assert report.returned is not None
        assert report.returned.message_id == "<orig@our.example>"


def test_several_recipients_have_each_their_own_reason() -> None:
    report = bounce(
        "Delivery to these recipients failed:\n\n"
        "<a@x.example>: 550 5.1.1 unknown\n<b@x.example>: 552 5.2.2 Mailbox full\n"
    )
    assert recipients(report) == [("a@x.example", "failed", "5.1.1"), ("b@x.example", "failed", "5.2.2")]


def test_the_address_written_to_is_kept_beside_the_one_that_failed() -> None:
    report = bounce(
        "Your message cannot be delivered to the following recipients:\n\n"
        "  Recipient address: r@x.example\n  Original address: alias@x.example\n  Reason: 550 5.1.1 unknown\n"
    )
    (block,) = report.recipients
    assert block.final_recipient is not None
    assert block.original_recipient is not None
    assert (block.final_recipient.value, block.original_recipient.value) == ("r@x.example", "alias@x.example")


def test_a_message_that_is_still_tried_is_delayed() -> None:
    report = bounce("Your message to:\n\tr@x.example\n\nhas not yet been delivered. We will continue to try.\n")
    assert [block.action for block in report.recipients] == [Action.DELAYED]


def test_addresses_of_helpers_and_of_the_returned_message_are_no_recipients() -> None:
    report = bounce(
        "For assistance contact postmaster@mx.example or call help@mx.example.\n\n"
        "Delivery to the following recipient failed:\n\n   r@x.example\n\n"
        "--- Below this line is a copy of the message.\n\nx@returned.example could not be delivered\n"
    )
    assert [address for address, _, _ in recipients(report)] == ["r@x.example"]


def test_a_bounce_that_names_nobody_is_about_the_only_recipient_of_what_it_returns() -> None:
    report = bounce("One of your recipients is not a valid user. The mail could not be delivered.\n\n" + ORIGINAL)
    assert recipients(report) == [(None, "failed", None)]
    assert report.returned is not None


def test_x_failed_recipients_tells_the_recipient_that_the_words_leave_out() -> None:
    data = DAEMON.replace("Subject", "X-Failed-Recipients: r@x.example\nSubject") % "Mail failed"
    report = read((data + "Your message was undeliverable.\n").encode())
    assert isinstance(report, Dsn)
    assert [address for address, _, _ in recipients(report)] == ["r@x.example"]


def test_the_fields_of_a_notification_are_read_where_they_stand_in_a_text() -> None:
    report = bounce(
        "Technical report:\n\nReporting-MTA: dns; mx.example\n\n"
        "Final-Recipient: rfc822; r@x.example\nAction: failed\nStatus: 5.2.2\n"
    )
    assert report.format == "rfc3464-in-text"
    assert HEURISTIC not in report.defects
    assert recipients(report) == [("r@x.example", "failed", "5.2.2")]


def test_a_declared_notification_without_its_fields_is_read_by_its_words() -> None:
    report = read(
        b"From: postmaster@mx.example\nTo: s@our.example\nSubject: x\n"
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        b"--b\n\nThe message could not be delivered to:\nr@x.example\n\n--b--\n"
    )
    assert isinstance(report, Dsn)
    assert report.format == "general"


@pytest.mark.parametrize(
    ("sender", "subject", "text"),
    [
        (
            "Bob <bob@x.example>",
            "Fwd: Undelivered Mail Returned to Sender",
            "> <r@x.example>: 550 5.1.1 unknown\n" + ORIGINAL,
        ),
        ("Bob <bob@x.example>", "Delivery failure", "My mail to r@x.example could not be delivered, what now?\n"),
        (
            "Support <help@v.example>",
            "[T 12] Mail delivery failed",
            "Your ticket: mail to r@x.example was not delivered.",
        ),
        (
            "users-request@l.example",
            "users Digest, Vol 1: delivery failure",
            "1. Bounces\n\n<r@x.example>: User unknown\n",
        ),
        (
            '"Mail Delivery System" <a@evil.example>',
            "Undelivered messages",
            "5 messages to sender@our.example were not delivered. http://evil.example\n",
        ),
        (
            '"Mailer-Daemon" <a@evil.example>',
            "Mailbox full",
            "Your mailbox is full, mail is not delivered: sender@our.example\n",
        ),
        (
            "list-bounces@l.example",
            "Your message to L awaits approval",
            "Your mail to 'L' is being held until a moderator looks at it.\n",
        ),
        ("shop@shop.example", "Your parcel could not be delivered", "Recipient: Bob. Contact service@shop.example\n"),
    ],
)
def test_what_people_and_spammers_write_about_bounces_is_none(sender: str, subject: str, text: str) -> None:
    assert read((PERSON % (sender, subject) + text).encode()) is None


@pytest.mark.parametrize(
    "text",
    ["I am away until Monday. For urgent matters write to alice@x.example.\n", "Thank you for your message.\n", ""],
)
def test_an_absence_notice_is_no_bounce(text: str) -> None:
    report = read((DAEMON % "Out of office" + text).encode())
    assert not isinstance(report, Dsn)


@pytest.mark.parametrize("subject", ["[Bug 12] failing", "Re: [T 12] Mail delivery failed"])
def test_a_machine_that_is_no_mail_system_and_quotes_a_bounce_sends_none(subject: str) -> None:
    header = f"From: bugs@x.example\nAuto-Submitted: auto-generated\nTo: s@o.example\nSubject: {subject}\n\n"
    text = "The message could not be delivered to:\nr@x.example\n550 5.1.1 User unknown\n\n" + ORIGINAL
    assert not isinstance(read((header + text).encode()), Dsn)


@pytest.mark.parametrize("subject", ["Re: Mail delivery failed", "AW: Unzustellbar: x", "Fw: Returned mail: x"])
def test_an_answer_to_a_bounce_is_none(subject: str) -> None:
    text = "The message could not be delivered to:\nr@x.example\n\n----- Original message -----\n\n" + ORIGINAL
    assert read((PERSON % ("Bob <bob@x.example>", subject) + text).encode()) is None


def test_a_gateway_that_writes_under_a_name_of_its_own_is_believed_with_what_it_returns() -> None:
    text = "The message could not be delivered to:\nr@x.example\n\n----- Original message -----\n\n" + ORIGINAL
    report = read((PERSON % ("ndr@gw.example", "Mail delivery failed") + text).encode())
    assert isinstance(report, Dsn)
