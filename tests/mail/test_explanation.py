"""What the text of a standard notification adds to its fields."""

from __future__ import annotations

from mdnwatch.mail.explanation import MAX_EXPLAINED
from mdnwatch.mail.reader import read
from mdnwatch.model.report import Dsn


def notification(text: str, fields: str) -> Dsn:
    report = read(
        (
            "From: MAILER-DAEMON@x.example\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
            f"--b\n\n{text}\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n{fields}\n--b--\n"
        ).encode()
    )
    assert isinstance(report, Dsn)
    return report


def failed(address: str, *more: str) -> str:
    return "\n".join((f"Final-Recipient: rfc822; {address}", "Action: failed", "Status: 5.0.0", *more, "", ""))


def test_each_recipient_without_diagnostic_code_gets_its_own_lines() -> None:
    text = "Sorry.\n\na@x.example: 550 unknown\nb@x.example: 552 full\n please wait\n"
    report = notification(text, failed("a@x.example") + failed("b@x.example"))
    assert [block.explanation for block in report.recipients] == [
        "a@x.example: 550 unknown",
        "b@x.example: 552 full please wait",
    ]


def test_a_diagnostic_code_needs_no_explanation() -> None:
    report = notification("a@x.example: no", failed("a@x.example", "Diagnostic-Code: smtp; 550 unknown"))
    assert report.recipients[0].explanation is None


def test_the_step_of_the_session_is_kept_beside_a_diagnostic_code() -> None:
    text = "<a@x.example>: unknown (in reply to end of DATA command)"
    report = notification(text, failed("a@x.example", "Diagnostic-Code: smtp; 550 unknown"))
    assert report.recipients[0].explanation == text


def test_a_text_that_names_nobody_explains_nothing() -> None:
    assert notification("It failed.", failed("a@x.example")).recipients[0].explanation is None


def test_many_recipients_are_left_to_their_fields() -> None:
    many = "".join(failed(f"a{n}@x.example") for n in range(MAX_EXPLAINED + 1))
    assert all(block.explanation is None for block in notification("a0@x.example: no", many).recipients)
