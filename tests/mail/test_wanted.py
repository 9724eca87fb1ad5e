from __future__ import annotations

from pathlib import Path

import pytest

from mdnwatch.mail.wanted import wanted
from mdnwatch.model.received import Wanted

SAMPLES = Path(__file__).parents[1] / "samples"

PERSON = b"From: Bob <bob@there.example>\r\nReturn-Path: <bob@there.example>\r\n"


@pytest.mark.parametrize(
    ("fields", "much"),
    [
        (b"Subject: Lunch?\r\n", Wanted.NOTHING),
        (b"Subject: Re: Offer\r\nIn-Reply-To: <offer@mail.example>\r\n", Wanted.HEADER),
        (b"Subject: Re: Offer\r\nReferences: <a@there.example>\r\n <offer@mail.example>\r\n", Wanted.HEADER),
        (b"Subject: Re: Offer\r\nIn-Reply-To: your mail of Monday\r\n", Wanted.NOTHING),
        # The text of an absence notice may say when somebody is back.
        (b"Subject: Out\r\nIn-Reply-To: <o@m.example>\r\nAuto-Submitted: auto-replied\r\n", Wanted.WHOLE),
        (b"Subject: Re: Offer\r\nIn-Reply-To: <o@m.example>\r\nX-Vacation: yes\r\n", Wanted.WHOLE),
        (b"Subject: fuori sede\r\nIn-Reply-To: <o@m.example>\r\n", Wanted.WHOLE),
        # A ticket system's note says nothing of an absence.
        (b"Subject: Ticket 4711\r\nIn-Reply-To: <o@m.example>\r\nPrecedence: bulk\r\n", Wanted.HEADER),
    ],
)
def test_of_an_answer_the_header_is_wanted_of_a_responders_also_the_text(fields: bytes, much: Wanted) -> None:
    assert wanted(PERSON + fields + b"\r\n") is much


@pytest.mark.parametrize("name", ["reply-rfc3834", "reply-gmail", "reply-exchange-until", "reply-icloud"])
def test_a_real_absence_notice_is_wanted_whole(name: str) -> None:
    data = (SAMPLES / "reports" / f"{name}.eml").read_bytes().replace(b"\r\n", b"\n")
    assert wanted(data.partition(b"\n\n")[0] + b"\n\n") is Wanted.WHOLE


@pytest.mark.parametrize(
    ("part", "much"),
    [
        (b"Content-Type: message/disposition-notification\r\n", Wanted.WHOLE),
        (b"content-type:\r\n message/Delivery-Status; charset=utf-8\r\n", Wanted.WHOLE),
        (b"Content-Type: message/global-delivery-status\r\n", Wanted.WHOLE),
        (b"Content-Type: message/feedback-report\r\n", Wanted.WHOLE),
        (b"Content-Type: message/rfc822\r\n", Wanted.NOTHING),
        (b"A line about Content-Type: message/delivery-status\r\n", Wanted.NOTHING),
    ],
)
def test_a_report_below_an_ordinary_header_is_wanted(part: bytes, much: Wanted) -> None:
    header = PERSON + b"Content-Type: multipart/mixed; boundary=g\r\n\r\n"
    assert wanted(header, b"--g\r\n" + part + b"\r\n...\r\n--g--\r\n") is much
