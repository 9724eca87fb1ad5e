"""Addresses, and what is said of them."""

from __future__ import annotations

import re

import pytest

from mdnwatch.mail.bounce_text import ADDRESS, MAX_RECIPIENTS, Said, block, blocks, find_addresses, said_after
from mdnwatch.model.report import Action, Typed

ENTRY = re.compile(rf"^<(?P<address>{ADDRESS})>:(?P<words>.*+)", re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("to a@x.example.", ("a@x.example",)),
        ("<a+b=c@x.example>, 'd@y.example'", ("a+b=c@x.example", "d@y.example")),
        ("mailto:a@x.example", ("a@x.example",)),
        ('"a b"@x.example', ('"a b"@x.example',)),
        ("用户@例え.example", ("用户@例え.example",)),
        ("a@localhost", ()),
        ("@x.example a@ b", ()),
        ("a@x.example a@x.example", ("a@x.example",)),
        ("x" * 300 + "@x.example", ()),
    ],
)
def test_addresses_are_found_without_what_stands_around_them(text: str, expected: tuple[str, ...]) -> None:
    assert find_addresses(text) == expected


def test_each_entry_gets_the_words_up_to_the_next() -> None:
    found = list(said_after("<a@x.y>: no\n more\n<b@x.y>:\n550 b\n", ENTRY))
    assert found == [Said("a@x.y", "no\n more"), Said("b@x.y", "550 b")]


def test_a_list_of_addresses_shares_the_reason_below_it() -> None:
    found = list(said_after("<a@x.y>:\n<b@x.y>:\n550 both\n", ENTRY))
    assert found == [Said("a@x.y", "550 both"), Said("b@x.y", "550 both")]


def test_rules_are_no_words() -> None:
    assert list(said_after("<a@x.y>: no\n-----------\n=====\n", ENTRY)) == [Said("a@x.y", "no")]


def test_the_status_is_the_code_that_is_named_and_none_is_invented() -> None:
    assert block(Said("a@x.y", "550 5.1.1 unknown")).status == "5.1.1"
    assert block(Said("a@x.y", "550 unknown")).status is None
    assert block(Said("a@x.y", "550 unknown")).diagnostic_code == Typed("smtp", "550 unknown")
    assert block(Said("a@x.y", "unknown")).diagnostic_code == Typed(None, "unknown")


def test_what_is_said_twice_of_an_address_is_one_recipient() -> None:
    (only,) = blocks([Said("a@x.y", "550 no"), Said("A@x.y", "550 no"), Said("a@x.y", "5.1.1")], "")
    assert only.diagnostic_code == Typed("smtp", "550 no 5.1.1")


def test_no_more_recipients_are_told_than_a_message_can_have() -> None:
    assert len(blocks((Said(f"a{n}@x.y", "no") for n in range(MAX_RECIPIENTS + 5)), "")) == MAX_RECIPIENTS


def test_words_of_delay_make_all_of_them_delayed() -> None:
    assert [one.action for one in blocks([Said("a@x.y", "")], "It will be retried.")] == [Action.DELAYED]
