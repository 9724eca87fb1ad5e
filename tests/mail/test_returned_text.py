"""Where the returned message begins in a text."""

from __future__ import annotations

import pytest

from mdnwatch.mail.returned_text import split_returned

HEADER = "Received: from a by b\n\tfor <r@x.example>\nFrom: s@o.example\nMessage-ID: <o@o.example>\n\nbody\n"


@pytest.mark.parametrize(
    "separator",
    [
        "--- Below this line is a copy of the message.\n\n",
        "------ This is a copy of the message, including all the headers. ------\n\n",
        "   ----- Original message follows -----\n\n",
        "   ----- Message header follows -----\n\n",
        "   ----- Unsent message follows -----\n",
        "|------------------------- Message text follows: ------------------------|\n",
        "---- START OF RETURNED MESSAGE ----\n",
        "--- Mensaje original adjunto.\n\n",
        "----- Ursprüngliche Nachricht -----\n\n",
        "Original message follows.\n\n",
        "Message headers follow.\n\n",
        "Original message headers:\n\n",
        "    Below is a copy of the original message:\n\n",
        "Included is a copy of the message header:\n----------------\n",
        "bounced E-Mail:\n\n",
        "Your message reads (in part):\n\n",
        "",
    ],
)
@pytest.mark.parametrize("quote", ["", "> "])
def test_the_header_below_any_separator_is_found_and_the_words_above_end_there(separator: str, quote: str) -> None:
    quoted = "".join(f"{quote}{line}\n" for line in HEADER.splitlines())
    split = split_returned(f"It could not be delivered to:\nr@x.example\n\n{separator}{quoted}")
    assert split.header is not None
    assert split.header.get("message-id") == "<o@o.example>"
    assert split.notice.strip() == "It could not be delivered to:\nr@x.example"


def test_behind_a_separator_nothing_is_said_by_the_software_even_without_a_header() -> None:
    split = split_returned("failed: a@x.example\n\n--- Original message follows.\n\nfailed: b@x.example\n")
    assert split.header is None
    assert "b@x.example" not in split.notice


@pytest.mark.parametrize(
    "text",
    [
        "Your message\n\n  To: a@x.example\n  Subject: x\n  Sent: today\n\ndid not reach b@x.example\n",
        "The message returned below could not be delivered.\nSubject: x\n\nto b@x.example\n",
        "   ----- The following addresses had permanent fatal errors -----\nb@x.example\n",
        "   ----- Transcript of session follows -----\n>>> RCPT To:<b@x.example>\n",
        "*** Your message could not be delivered to b@x.example ***\n",
        "From: someone RCPT: <b@x.example> failed\nb@x.example\n",
        "",
    ],
)
def test_what_the_software_says_is_not_taken_for_the_returned_message(text: str) -> None:
    split = split_returned(text)
    assert split.header is None
    assert split.notice == text


def test_lines_that_lost_their_indentation_do_not_end_the_header() -> None:
    split = split_returned("failed\n\nReceived: from a by b (via\nHTTP); today\nMessage-ID: <o@o.example>\nFrom: a@b\n")
    assert split.header is not None
    assert split.header.get("message-id") == "<o@o.example>"
