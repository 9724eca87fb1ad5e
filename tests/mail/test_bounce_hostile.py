"""Bounces made to cost time or to break the reader."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdnwatch.mail.bounce_text import MAX_RECIPIENTS
from mdnwatch.mail.reader import read
from mdnwatch.model.report import Dsn
from mdnwatch.model.text import FOREIGN_TEXT_BYTES

HEADER = b"From: MAILER-DAEMON@x.example\nReturn-Path: <>\nTo: s@o.example\nSubject: failure notice\n"
# Seconds for a megabyte on a slow, busy machine; a quadratic expression takes minutes.
SLOW = 5.0

PIECES = [
    b"a",
    b"@",
    b"a@",
    b"a@b.",
    b"<",
    b"<a@b>:\n",
    b"\n",
    b" \n",
    b"550 ",
    b"5.1.1 ",
    b"(",
    b"not ",
    b"deliver",
    b"fail ",
    b"To: ",
    b"Received: x\n",
    b"From: a@b\n\n",
    b"----",
    b"- ",
    b"--- original message\n",
    b'"',
    b'\\"',
    b"a@b.c\n",
    b"  a@b.c\n    x\n",
    b"> From: a\n",
    b"Error-for: a@b.c\n",
    b"x to a@b.c\n",
    b"x:",
    b"account ",
    b"user unknown ",
    b"domain ",
    b"rcpt to:",
    b"=",
    b"[",
    b"\xff",
    b"\xe3\x81\x82",
    b"on 1/1\n",
    b"a on Thu, 1\n",
    b"<style",
    b"<!--",
    b"<p",
    b"Diagnostic information for administrators\n",
    b"-------server message\n",
    b"&#",
    b"Hi. This is the qmail-send program\n",
    b"   ----- The following addresses had x -----\na@b.c\n",
    b"Final-Recipient: rfc822;a@b\nAction: failed\n\n",
]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("kind", [b"text/plain", b"text/html"])
def test_a_megabyte_of_the_same_costs_no_more_than_time_in_proportion(piece: bytes, kind: bytes) -> None:
    data = HEADER + b"Content-Type: " + kind + b"\n\n" + piece * (1_000_000 // len(piece))
    begun = time.perf_counter()
    read(data)
    assert time.perf_counter() - begun < SLOW


WORDS = st.sampled_from(
    [
        "This message was created automatically by mail delivery software.\n",
        "could not be delivered to one or more of its\nrecipients",
        "could not be delivered to one or more of\nits recipients.",
        "Hi. This is the qmail-send program at x\n",
        "   ----- The following addresses had permanent fatal errors -----\n",
        "   ----- Transcript of session follows -----\n",
        "did not reach the following recipient(s):\n",
        "Diagnostic information for administrators:\n",
        "Delivery to the following recipient failed permanently:\n",
        "--- Below this line is a copy of the message.\n",
        "------ This is a copy of the message, including all the headers. ------\n",
        "<a@x.example>:\n",
        "  b@x.example\n    550 5.1.1 unknown\n",
        "c@x.example on Thu, 1 Jan 2009 10:00:00 +0000\n",
        "Received: from a by b; x\nMessage-ID: <o@x.example>\nFrom: a@b.c\n\n",
        "Final-Recipient: rfc822; d@x.example\nAction: failed\n\n",
        "\n",
        " ",
        "\u202e",
        "\0",
    ]
)


@settings(deadline=None)
@given(st.lists(st.one_of(WORDS, st.text(max_size=20)), max_size=30))
def test_no_mixture_of_their_sentences_breaks_a_reader(pieces: list[str]) -> None:
    report = read(HEADER + b"Content-Type: text/plain; charset=utf-8\n\n" + "".join(pieces).encode("utf-8", "replace"))
    if isinstance(report, Dsn):
        assert len(report.recipients) <= MAX_RECIPIENTS
        for block in report.recipients:
            said = block.diagnostic_code.value if block.diagnostic_code else ""
            assert len(said.encode()) <= FOREIGN_TEXT_BYTES
            assert not {"\u202e", "\0", "\n"}.intersection(said)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_below_a_mailer_daemons_header_raise(body: bytes) -> None:
    read(HEADER + b"\n" + body)


def test_the_words_about_a_recipient_are_safe_to_show() -> None:
    report = read(HEADER + "\n<r@x.example>:\n550 5.1.1 \u202eevil\x1b[2J unknown\n".encode())
    assert isinstance(report, Dsn)
    (block,) = report.recipients
    assert block.diagnostic_code is not None
    assert block.diagnostic_code.value == "550 5.1.1 evil[2J unknown"
