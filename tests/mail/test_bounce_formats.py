"""Each format against real messages, with golden files that a person has read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from samples.golden import as_json

from mdnwatch.mail import mime
from mdnwatch.mail.bounce_formats import formats
from mdnwatch.mail.notice import Notice, read_notice
from mdnwatch.mail.reader import read
from mdnwatch.model.report import Action, Dsn

BOUNCES = Path(__file__).parent.parent / "samples" / "bounces"
REAL = Path(__file__).parent.parent / "samples" / "real"
SAMPLES = sorted(BOUNCES.glob("*.eml"))
# Their only samples may not be copied (Artistic licence): the test over the shared corpus holds them.
WITHOUT_SAMPLE = {"groupwise"}


def notice(sample: Path) -> Notice:
    return read_notice(mime.read(sample.read_bytes()))


def format_of(sample: Path) -> str:
    return sample.stem.rpartition("-")[0]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_bounce_is_read_as_its_golden_file_says(sample: Path) -> None:
    assert as_json(sample.read_bytes()) == sample.with_suffix(".json").read_text("utf-8")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_line_ends_change_nothing(sample: Path) -> None:
    data = sample.read_bytes()
    with_crlf = json.loads(as_json(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")))
    with_lf = json.loads(as_json(data))
    del with_crlf["report_part"], with_lf["report_part"]
    assert with_crlf == with_lf


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_no_other_format_claims_a_sample(sample: Path) -> None:
    claiming = [known.FORMAT for known in formats() if known.claims(notice(sample))]
    assert claiming == ([] if format_of(sample) == "general" else [format_of(sample)])


def test_every_format_has_a_sample() -> None:
    covered = {format_of(sample) for sample in SAMPLES} | {"qreceipt"} | WITHOUT_SAMPLE
    assert {known.FORMAT for known in formats()} == covered - {"general"}


def test_no_format_claims_a_standard_notification_of_real_software() -> None:
    standard = [sample for sample in sorted(REAL.glob("*.eml")) if "-dsn-" in sample.stem]
    assert len(standard) > 50
    for sample in standard:
        report = read(sample.read_bytes())
        assert isinstance(report, Dsn)
        assert report.format == "rfc3464", sample.stem


def test_a_success_notice_of_qreceipt_is_a_delivery_of_the_message_it_names() -> None:
    report = read((REAL / "notqmail-QMqreceipt-other.eml").read_bytes())
    assert isinstance(report, Dsn)
    assert report.format == "qreceipt"
    assert [block.action for block in report.recipients] == [Action.DELIVERED]
    assert report.inline_message_ids == ("<0123456789abcdef.QMqreceipt@mail.example>",)


def test_a_bounce_of_amazon_ses_tells_each_bounced_recipient() -> None:
    notification = {
        "notificationType": "Bounce",
        "bounce": {
            "bouncedRecipients": [
                {
                    "emailAddress": "a@x.example",
                    "action": "failed",
                    "status": "5.1.1",
                    "diagnosticCode": "smtp; 550 5.1.1 user unknown",
                },
                {"emailAddress": "b@x.example"},
                "no object",
            ]
        },
        "mail": {"commonHeaders": {"messageId": "<o@our.example>", "subject": "Offer"}},
    }
    report = read(sns(json.dumps(notification)))
    assert isinstance(report, Dsn)
    told = [(block.final_recipient and block.final_recipient.value, block.status) for block in report.recipients]
    assert told == [("a@x.example", "5.1.1"), ("b@x.example", None), (None, None)]
    assert report.returned is not None
    assert report.returned.message_id == "<o@our.example>"


@pytest.mark.parametrize(
    "body",
    [
        '{"notificationType":"Complaint","complaint":{}}',
        '{"notificationType":"Bounce","bounce":[]}',
        '{"notificationType":',
        '{"notificationType":' + "[" * 50_000,
        '{"notificationType":17}',
    ],
)
def test_what_amazon_does_not_call_a_bounce_is_none(body: str) -> None:
    assert not isinstance(read(sns(body)), Dsn)


def sns(body: str) -> bytes:
    header = "From: no-reply@sns.amazonaws.com\nx-amz-sns-message-id: 1\nSubject: AWS Notification Message\n\n"
    return (header + body).encode()
