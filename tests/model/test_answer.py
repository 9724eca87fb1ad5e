from __future__ import annotations

import pytest
from facts import head, reply

from mdnwatch.model.answer import form_of, is_to_us, key_hash, sender_hashes

OWN = frozenset({"alice@mail.example"})
SECRET = b"k" * 32


def test_an_answer_of_somebody_else_is_one_to_us() -> None:
    assert is_to_us(reply(head()), OWN)


@pytest.mark.parametrize("sender", ["alice@mail.example", "Alice@MAIL.example", "alice+offers@mail.example", None])
def test_our_own_mail_answers_nothing(sender: str | None) -> None:
    assert not is_to_us(reply(head(from_address=sender)), OWN)


def test_mail_of_a_list_is_an_answer_only_where_the_list_is_an_address_of_ours() -> None:
    assert not is_to_us(reply(head(), via_list=True), OWN)
    assert not is_to_us(reply(head(to_addresses=["talk@lists.example"]), via_list=True), OWN)
    assert is_to_us(reply(head(to_addresses=["x@y.example", "Alice@mail.example"]), via_list=True), OWN)


def test_hashes_tell_who_is_meant_as_addresses_do() -> None:
    hashes = sender_hashes(SECRET, "Bob+x@There.example")
    assert form_of(SECRET, hashes, "Bob+x@there.example") == "Bob+x@there.example"
    assert form_of(SECRET, hashes, "BOB+X@there.example") == "bob+x@there.example"
    assert form_of(SECRET, hashes, "bob@there.example") == "bob@there.example"
    assert form_of(SECRET, hashes, "bobby@there.example") is None
    assert form_of(b"another", hashes, "Bob+x@there.example") is None


def test_a_message_is_found_by_its_id_and_the_mailbox_of_whoever_answers() -> None:
    found = key_hash(SECRET, "m:<offer@mail.example>", "Bob+x@There.example")
    assert found == key_hash(SECRET, "m:<offer@mail.example>", "bob@there.example")
    assert found != key_hash(SECRET, "m:<offer@mail.example>", "carol@there.example")
    assert found != key_hash(SECRET, "m:<other@mail.example>", "bob@there.example")
