from __future__ import annotations

import json

import pytest

from mdnwatch.model.erasure import Mailbox

BOB = Mailbox("bob@there.example")


@pytest.mark.parametrize(
    "text",
    [
        "bob@there.example",
        "BOB+shop@There.Example.",
        "<offer@mail.example> bob@there.example",
        '550 5.1.1 <bob@there.example>: Recipient address rejected: "no such user"',
        "rfc822;bob@there.example",
        "user=bob@there.example, it's full",
        json.dumps({"details": ["one\nbob@there.example", 1, None]}),
    ],
)
def test_an_address_is_found_however_it_stands_in_a_text(text: str) -> None:
    assert BOB.is_named_in(text)


@pytest.mark.parametrize(
    "text",
    [None, "", "jimbob@there.example", "bob@there.example.org", "a.bob@there.example", "bob", "bob at there.example"],
)
def test_another_address_is_never_taken_for_it(text: str | None) -> None:
    assert not BOB.is_named_in(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("john doe@there.example", '{"final":["\\"John Doe\\"@there.example"]}'),
        ("jürgen@xn--bcher-kva.example", "Jürgen@bücher.example"),
        ("o'brien@there.example", "to o'brien@there.example"),
    ],
)
def test_quoted_and_international_addresses_are_found(name: str, text: str) -> None:
    assert Mailbox(name).is_named_in(text)
