from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.mail.reader import read
from mdnwatch.model.correlation import LookupKey, Rung, lookup_keys
from mdnwatch.model.evidence import Evidence, Kind, extract
from mdnwatch.model.report import FeedbackReport, Malformed
from mdnwatch.model.stored import report_content, report_from, stored
from mdnwatch.parse import parse

SAMPLES = Path(__file__).parents[1] / "samples" / "reports"
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.eml").read_bytes()


def feedback(data: bytes) -> FeedbackReport:
    report = read(data)
    assert isinstance(report, FeedbackReport)
    return report


def evidence(data: bytes) -> tuple[Evidence, ...]:
    return extract(feedback(data), "f" * 64, NOW)


def arf(
    fields: str = "Feedback-Type: abuse\nUser-Agent: Gen/1\nVersion: 1\n", *, to: str = "bob@there.example"
) -> bytes:
    return (
        "From: fbl@there.example\nTo: abuse@mail.example\nDate: Mon, 23 Nov 2026 09:00:00 +0000\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
        f"--b\n\nA complaint.\n--b\nContent-Type: message/feedback-report\n\n{fields}\n"
        "--b\nContent-Type: message/rfc822\n\nMessage-ID: <offer@mail.example>\n"
        f"From: alice@mail.example\nTo: {to}\nSubject: Offer\n\nHello\n--b--\n"
    ).encode()


def test_the_fields_of_a_feedback_report_are_read() -> None:
    # conformance 74, 75, 76
    report = feedback(sample("arf-abusix-two-recipients"))
    assert (report.format, report.feedback_type, report.user_agent, report.version) == (
        "rfc5965",
        "abuse",
        "abusix-py/0.1",
        "1",
    )
    assert report.original_mail_from == "sironeko@example.jp"
    assert report.original_rcpt_to == ("kijitora@example.com", "sabatora@example.net")
    assert report.original_envelope_id == "000000-FFFFFF-22"
    assert report.arrival_date == datetime(2016, 4, 29, 23, 34, 45, tzinfo=UTC)
    assert report.defects == ()


def test_each_recipient_named_complains_of_the_message() -> None:
    # conformance 76, 77
    complaints = evidence(sample("arf-abusix-two-recipients"))
    assert [(piece.kind, piece.original, piece.block) for piece in complaints] == [
        (Kind.COMPLAINED, ("kijitora@example.com",), 0),
        (Kind.COMPLAINED, ("sabatora@example.net",), 1),
    ]


def test_a_report_that_names_no_recipient_is_of_the_only_one_addressed() -> None:
    assert [piece.original for piece in evidence(arf())] == [("bob@there.example",)]
    assert [piece.original for piece in evidence(arf(to="bob@there.example, eve@there.example"))] == [()]
    assert [piece.original for piece in evidence(sample("arf-without-recipient"))] == [()]


@pytest.mark.parametrize("kind", ["not-spam", "opt-out", "opt-out-list", "auth-failure", "other", "x-whatever"])
def test_what_is_no_complaint_is_no_evidence(kind: str) -> None:
    # conformance 77
    data = arf(f"Feedback-Type: {kind}\nUser-Agent: Gen/1\nVersion: 1\nOriginal-Rcpt-To: <bob@there.example>\n")
    assert feedback(data).feedback_type == kind
    assert evidence(data) == ()


def test_an_opt_out_of_a_draft_of_the_standard_is_an_opt_out() -> None:
    data = sample("arf-draft-opt-out")
    report = feedback(data)
    assert (report.feedback_type, report.version, report.original_rcpt_to) == ("opt-out", "0.1", ("user@example.com",))
    assert report.returned is not None
    assert report.returned.message_id == "<0000000000000000000000000@example.net>"
    assert evidence(data) == ()


def test_a_failed_authentication_is_no_complaint() -> None:
    data = sample("arf-linkedin-auth-failure")
    assert feedback(data).feedback_type == "auth-failure"
    assert feedback(data).original_mail_from == ""
    assert evidence(data) == ()


def test_no_ip_address_is_kept() -> None:
    fields = (
        "Feedback-Type: abuse\nUser-Agent: Gen/1\nVersion: 1\nSource-IP: 192.0.2.1\nSource-Port: 25\n"
        "Authentication-Results: mx.example; spf=fail smtp.remote-ip=192.0.2.1\nX-Six: from 2001:db8:0:1::25\n"
        "X-Short: ::1\nX-Time: 17:40:36\nReporting-MTA: dns; mx.example\nAuth-Failure: dmarc\n"
    )
    assert feedback(arf(fields)).extensions == (
        ("X-Time", "17:40:36"),
        ("Reporting-MTA", "dns; mx.example"),
        ("Auth-Failure", "dmarc"),
    )
    assert "192.0.2" not in str([piece.details for piece in evidence(arf(fields))])


def test_missing_fields_are_named_and_cost_only_themselves() -> None:
    report = feedback(arf("Original-Rcpt-To: bob@there.example\nIncidents: 12\n"))
    assert report.defects == ("no-feedback-type", "no-user-agent", "no-version")
    assert (report.feedback_type, report.incidents) == (None, 12)
    assert extract(report, "f" * 64, NOW) == ()


def test_type_and_dates_are_read_as_the_standard_has_them() -> None:
    report = feedback(arf("FEEDBACK-TYPE: Abuse (spam)\nReceived-Date: Thu, 29 Apr 2016 23:34:45 +0000\n"))
    assert report.feedback_type == "abuse"
    assert report.arrival_date == datetime(2016, 4, 29, 23, 34, 45, tzinfo=UTC)
    assert feedback(arf("Feedback-Type: abuse\nArrival-Date: soon\n")).arrival_date is None


def test_a_message_that_declares_feedback_and_gives_none_is_malformed() -> None:
    report = read(arf("Hello: world\n"))
    assert isinstance(report, Malformed)
    assert report.declared == "feedback-report"
    assert parse(arf("Hello: world\n"), "x")["kind"] == "arf"


def test_the_id_that_comcast_names_finds_the_message() -> None:
    named = LookupKey(Rung.ORIGINAL_MESSAGE_ID, "m:<WEB984880f6664cc4cfcb65239d134bfd9c7@web9>")
    assert named in lookup_keys(feedback(sample("arf-comcast")))


def test_a_complaint_in_the_form_of_outlook_com_is_one() -> None:
    data = sample("jmrp-complaint")
    report = feedback(data)
    assert (report.format, report.feedback_type) == ("jmrp", "abuse")
    assert [(piece.kind, piece.original) for piece in evidence(data)] == [(Kind.COMPLAINED, ("kijitora@example.com",))]
    assert read(data.replace(b"From: staff@hotmail.com", b"From: staff@example.com")) is None
    assert read(data.replace(b"complaint about", b"Fwd: complaint about")) is None


def test_a_complaint_told_by_amazon_sns_is_one() -> None:
    data = sample("amazon-ses-complaint")
    report = feedback(data)
    assert (report.format, report.feedback_type) == ("amazon-ses", "abuse")
    assert report.original_mail_from == "kijitora@neko.example.jp"
    assert [piece.original for piece in evidence(data)] == [("complaint@simulator.amazonses.com",)]
    assert read(data.replace(b'"Complaint"', b'"Delivery"')) is None
    assert read(data.replace(b"no-reply@sns.amazonaws.com>", b"no-reply@sns.example.com>")) is None


@pytest.mark.parametrize("body", [b"{", b"{}", b"[1]", b"[" * 100_000, b'{"notificationType":"Complaint","mail":[1]}'])
def test_odd_json_from_amazon_costs_nothing_but_itself(body: bytes) -> None:
    report = read(b"From: no-reply@sns.amazonaws.com\n\n" + body)
    assert report is None or (isinstance(report, FeedbackReport) and report.original_rcpt_to == ())


def test_a_person_who_forwards_a_feedback_report_complains_of_nothing() -> None:
    forwarded = (
        b"From: Ann <ann@example.org>\nContent-Type: multipart/mixed; boundary=w\n\n--w\n\nsee below\n--w\n"
        b"Content-Type: message/rfc822\n\n" + arf() + b"\n--w--\n"
    )
    assert read(forwarded) is None


def test_what_is_kept_of_a_feedback_report_comes_back_as_it_was() -> None:
    kept = stored(feedback(arf()), "f" * 64, "sales", NOW, announce=True)
    assert kept.kind == "arf"
    row = (kept.id, kept.kind, kept.account, int(NOW.timestamp() * 1000), 1, report_content(kept))
    assert report_from(row) == kept


def test_parse_shows_the_feedback() -> None:
    line = parse(sample("arf-abusix-two-recipients"), "x")
    assert line["kind"] == "arf"
    assert line["original_message_id"] == "<EEEEEEEE-0000-0000-0000-EEEEEEEE2222@example.net>"
    assert line["feedback"] == {
        "type": "abuse",
        "user_agent": "abusix-py/0.1",
        "original_mail_from": "sironeko@example.jp",
        "arrival_date": "2016-04-29T23:34:45+00:00",
        "reported_domain": [],
        "incidents": 1,
    }


@given(st.text(alphabet=st.sampled_from("Feedback-Typabusorign:RcTM\n <>@.;1"), max_size=300))
def test_no_fields_whatever_raise(fields: str) -> None:
    report = read(arf(fields))
    if isinstance(report, FeedbackReport):
        extract(report, "f" * 64, NOW)


def test_recipients_without_end_are_bounded() -> None:
    fields = "Feedback-Type: abuse\n" + "".join(f"Original-Rcpt-To: u{n}@there.example\n" for n in range(5000))
    assert len(evidence(arf(fields))) == 100
