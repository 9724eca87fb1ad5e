"""What a failure means: codes before words, words before nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mdnwatch.model.authenticity import Grade, grade
from mdnwatch.model.evidence import Kind, extract
from mdnwatch.model.reason import meaning, reason_of
from mdnwatch.model.reasons import Reason
from mdnwatch.model.report import HEURISTIC, Action, Dsn, Head, RecipientBlock, Returned, Typed
from mdnwatch.model.stored import report_content, report_from, stored

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def block(
    words: str = "", status: str | None = None, action: Action = Action.FAILED, explanation: str | None = None
) -> RecipientBlock:
    return RecipientBlock(
        final_recipient=Typed("rfc822", "r@x.example"),
        original_recipient=None,
        action=action,
        action_as_sent=None,
        status=status,
        diagnostic_code=Typed("smtp", words) if words else None,
        explanation=explanation,
    )


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        ("5.1.1", "550 5.1.1 whatever they say: spam", Reason.NO_SUCH_MAILBOX),
        ("5.2.2", "", Reason.MAILBOX_FULL),
        ("4.4.7", "", Reason.EXPIRED),
        ("5.1.2", "", Reason.NO_SUCH_DOMAIN),
        ("5.7.26", "", Reason.AUTHENTICATION),
        ("5.0.0", "551 ask elsewhere", Reason.NO_SUCH_MAILBOX),
        ("5.0.0", "550 User unknown", Reason.NO_SUCH_MAILBOX),
        ("5.7.1", "554 5.7.1 Client host blocked using zen.spamhaus.org", Reason.POLICY),
        ("5.7.1", "554 5.7.1 Relay access denied", Reason.POLICY),
        ("5.7.1", "550 5.7.1 rejected due to the domain's DMARC policy", Reason.AUTHENTICATION),
        ("5.0.0", "550 This message was classified as SPAM", Reason.SPAM),
        ("5.0.0", "552 Message size exceeds limit", Reason.TOO_LARGE),
        ("5.0.0", "554 A virus was found", Reason.CONTENT),
        ("5.0.0", "Host not found", Reason.NO_SUCH_DOMAIN),
        ("4.0.0", "connect to mx.example: Connection timed out", Reason.NETWORK),
        ("5.0.0", "550 This account has been disabled", Reason.REFUSED),
        (None, "quota exceeded", Reason.MAILBOX_FULL),
        (None, "retry timeout exceeded", Reason.EXPIRED),
        ("5.1.0", "553 x.example does not exist (in reply to MAIL FROM command)", Reason.POLICY),
        ("5.7.1", "", Reason.POLICY),
        ("5.0.0", "", Reason.OTHER),
        (None, "", Reason.OTHER),
        (None, "Zonk.", Reason.OTHER),
    ],
)
def test_the_reason_is_told_by_code_then_reply_then_words(status: str | None, words: str, expected: Reason) -> None:
    assert reason_of(status, words) is expected


def test_what_the_remote_server_said_comes_before_the_status_that_was_made_of_it() -> None:
    assert reason_of("5.1.1", "550 5.7.1 IP address blacklisted by recipient") is Reason.POLICY


def test_a_failure_in_the_address_itself_is_hard() -> None:
    assert meaning(block("550 5.1.1 unknown")).hard
    assert meaning(block("550 Host unknown")).hard
    assert not meaning(block("552 5.2.2 full")).hard


def test_a_failed_message_is_given_up_and_a_delayed_one_is_not() -> None:
    assert meaning(block(status="4.4.7")).permanent
    assert not meaning(block("450 4.1.1 unknown", action=Action.DELAYED)).permanent
    assert not meaning(block("450 4.1.1 unknown", action=Action.DELAYED)).hard


def test_a_transient_code_is_not_hard_even_where_the_message_was_given_up() -> None:
    means = meaning(block("DNS Error: NXDOMAIN Domain name not found: x.example", status="4.0.0"))
    assert means.reason is Reason.NO_SUCH_DOMAIN
    assert means.permanent
    assert not means.hard


def test_an_unknown_user_told_after_data_is_a_refusal() -> None:
    assert meaning(block("550 Unknown user r@x.example (in reply to end of DATA command)")).reason is Reason.REFUSED
    pipelined = ">>> DATA <<< 550 User unknown <<< 503 5.0.0 Need RCPT (recipient)"
    assert meaning(block("550 User unknown", explanation=pipelined)).reason is Reason.NO_SUCH_MAILBOX


def test_the_text_for_people_speaks_where_there_is_no_diagnostic_code() -> None:
    assert (
        meaning(block(status="5.0.0", explanation="r@x.example: 552 5.2.2 Mailbox full")).reason is Reason.MAILBOX_FULL
    )


def bounce(*defects: str) -> Dsn:
    return Dsn(
        head=Head(message_id="<b@mx.example>"),
        format="general",
        report_part=b"",
        returned=Returned("text/plain", "<o@our.example>"),
        recipients=(block("550 5.2.2 full"), block("450 later", action=Action.DELAYED)),
        defects=defects,
    )


def test_the_evidence_of_a_failure_tells_its_reason_and_that_of_a_delay_none() -> None:
    told = [(piece.kind, piece.reason) for piece in extract(bounce(), "id", NOW)]
    assert told == [(Kind.FAILED, "mailbox_full"), (Kind.DELAYED, None)]


@pytest.mark.parametrize(("defects", "expected"), [((), Grade.CONSISTENT), ((HEURISTIC,), Grade.DOUBTFUL)])
def test_a_bounce_understood_by_its_words_alone_is_doubtful(defects: tuple[str, ...], expected: Grade) -> None:
    kept = stored(bounce(*defects), "id", "sales", NOW, announce=True)
    for provenance in (
        kept.provenance,
        report_from(("id", "dsn", "sales", 0, 1, report_content(kept))).provenance,
    ):
        assert grade(provenance, None, "r@x.example", addressed=True).grade is expected
