"""The gate in front of the bounce readers."""

from __future__ import annotations

import pytest

from mdnwatch.mail.bounce_gate import is_failure_subject, may_be_bounce
from mdnwatch.mail.header import Header


@pytest.mark.parametrize(
    "header",
    [
        b"From: MAILER-DAEMON@x.example\nSubject: x\n",
        b"From: a@x.example\nReturn-Path: <>\n",
        b"From: a@x.example\nSubject: Mail could not be delivered\nAuto-Submitted: auto-generated\n",
        b"From: no-reply@x.example\nSubject: =?utf-8?b?44Oh44O844Or44Ko44Op44O86YCa55+l?=\n",
        b"From: ndr@x.example\nSubject: x\n",
        b"From: Systemadministrator <a@x.example>\nSubject: x\n",
        b"From: a@x.example\nReturn-Path: <MAILER-DAEMON@x.example>\nSubject: x\n",
        b"From: postmaster@x.example\nSubject: Re: Offer\nReturn-Path: <>\n",
        b"From: a@x.example\nX-Failed-Recipients: b@x.example\n",
        b"From: a@x.example\nx-amz-sns-message-id: 1\n",
    ],
)
def test_a_message_that_may_be_a_bounce_is_let_through(header: bytes) -> None:
    assert may_be_bounce(Header(header))


@pytest.mark.parametrize(
    "header",
    [
        b"From: a@x.example\nSubject: Offer\n",
        b"From: a@x.example\nSubject: Mail could not be delivered\n",
        b"From: a@x.example\nSubject: [T 12] Mail could not be delivered\nAuto-Submitted: auto-generated\n",
        b"From: a@x.example\nSubject: Ticket 12: Mail could not be delivered\nAuto-Submitted: auto-replied\n",
        b"From: postmaster@x.example\nSubject: Re: Mail could not be delivered\nReturn-Path: <postmaster@x.example>\n",
        b"From: a@x.example\nSubject: Re: Mail could not be delivered\n",
        b"From: a@x.example\nSubject: Fwd: failure notice\nReturn-Path: <a@x.example>\n",
        b"From: posta-certificata@x.example\nX-Ricevuta: errore-consegna\nReturn-Path: <>\nSubject: mancata consegna\n",
    ],
)
def test_ordinary_mail_and_certified_receipts_are_not(header: bytes) -> None:
    assert not may_be_bounce(Header(header))


def test_an_answers_subject_is_no_failures() -> None:
    assert is_failure_subject(Header(b"Subject: Returned mail: see transcript\n"))
    assert not is_failure_subject(Header(b"Subject: AW: Returned mail: see transcript\n"))
