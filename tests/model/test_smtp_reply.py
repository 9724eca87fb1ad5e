"""Codes in the words of mail servers."""

from __future__ import annotations

import pytest

from mdnwatch.model.smtp_reply import enhanced_code, reply_code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("550 5.1.1 <a@b>... User unknown", "5.1.1"),
        ("550-5.7.26 Unauthenticated email\n550 5.7.26 go to", "5.7.26"),
        ("550: 5.1.8 Sender address rejected", "5.1.8"),
        ("550 #5.1.0 Address rejected.", "5.1.0"),
        ("Sorry, no mailbox here by that name. (#5.1.1)", "5.1.1"),
        ("host: mx.example\n5.2.2 <a@b>... Mailbox Full", "5.2.2"),
        ("Remote Server returned '550 5.1.10 RESOLVER.ADR'", "5.1.10"),
        ("452 4.2.2 Over quota", "4.2.2"),
        ("250 2.6.0 Message received", "2.6.0"),
        ("550 Requested action not taken", None),
        ("host mx [5.1.1.4]: 550 no", None),
        ("connect to 5.1.1.4 failed", None),
        ("by Exim 4.80.1 and Sendmail (5.6.7.8)", None),
        ("550 5.1.999 no", "5.1.999"),
        ("550 5.1.01 no", None),
        ("550 3.1.1 no", None),
        ("", None),
    ],
)
def test_the_enhanced_code_is_found_where_codes_stand(text: str, expected: str | None) -> None:
    assert enhanced_code(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("550 User unknown", 550),
        ("host mx.example [192.0.2.1]: 550-no", 550),
        ("Remote host said: 421 later", 421),
        ("ERROR_CODE :550, x", 550),
        ("It responded as follows: [554 no]", 554),
        ("after 550 hours", None),
        ("on port 587", None),
        ("[192.0.2.250]", None),
        ("", None),
    ],
)
def test_the_reply_code_is_found_where_replies_stand(text: str, expected: int | None) -> None:
    assert reply_code(text) == expected
