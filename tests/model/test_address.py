from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.model.address import (
    canonical,
    decode_embedded_unicode,
    decode_xtext,
    find,
    forms,
    plain,
    same_or_parent_domain,
)
from mdnwatch.model.report import Typed


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("joe+2Btag@nodsn.example", "joe+tag@nodsn.example"),
        ("a+3Db", "a=b"),
        ("j+C3+B6e@x.example", "jöe@x.example"),
        ("plus+alone", "plus+alone"),  # conformance 53: a "+" that begins no hexchar stays
        ("lower+2b", "lower+2b"),  # conformance 53: upper-case hexadecimal only
        ("bad+FFutf8", "bad+FFutf8"),
        ("", ""),
    ],
)
def test_xtext_is_decoded_and_what_is_no_xtext_stays(text: str, decoded: str) -> None:
    assert decode_xtext(text) == decoded


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126)))
def test_what_was_encoded_as_xtext_comes_back(text: str) -> None:
    encoded = "".join(f"+{ord(c):02X}" if c in "+=" else c for c in text)
    assert decode_xtext(encoded) == text


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        (r"bj\x{F8}rn@mail.example", "bjørn@mail.example"),
        (r"\x{1F600}@x.example", "\U0001f600@x.example"),
        (r"\x{D800}@x.example", r"\x{D800}@x.example"),  # conformance 69: no surrogates
        (r"\x{110000}@x.example", r"\x{110000}@x.example"),
        (r"\x{1}@x.example", r"\x{1}@x.example"),  # conformance 69: two digits at least
        (r"\x{1234567}", r"\x{1234567}"),
    ],
)
def test_embedded_unicode_is_decoded_and_invalid_escapes_stay(text: str, decoded: str) -> None:
    assert decode_embedded_unicode(text) == decoded


@pytest.mark.parametrize(
    ("typed", "addresses"),
    [
        # conformance 57: both readings of an Original-Recipient, the literal one first.
        (Typed("rfc822", "joe+2Btag@x.example"), ("joe+2Btag@x.example", "joe+tag@x.example")),
        (Typed(None, "user@x.example"), ("user@x.example",)),
        (Typed("rfc822", "KMail User <kmail@mail.example>"), ("kmail@mail.example",)),
        # conformance 69: the three forms of the utf-8 address type.
        (Typed("utf-8", r"bj\x{F8}rn@x.example"), ("bjørn@x.example", r"bj\x{F8}rn@x.example")),
        (Typed("utf-8", "bjørn@x.example"), ("bjørn@x.example",)),
        (Typed("utf-8", r"bj+5Cx{F8}rn@x.example"), ("bjørn@x.example", r"bj+5Cx{F8}rn@x.example")),
        (Typed("unknown", "nobody knows"), ()),
        (None, ()),
    ],
)
def test_a_recipient_field_gives_the_addresses_it_can_mean(typed: Typed | None, addresses: tuple[str, ...]) -> None:
    assert forms(typed) == addresses


def test_plain_takes_the_bare_address_out() -> None:
    assert plain(" <a@x.example> ") == plain('"A <b>" <a@x.example>') == plain("a@x.example") == "a@x.example"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bob@There.Example", "bob@there.example"),
        ('"bob"@there.example', "bob@there.example"),
        ("bob@bücher.example", "bob@xn--bcher-kva.example"),  # conformance 72
        ("bob@there.example.", "bob@there.example"),
        ("jose\u0301@x.example", "jos\u00e9@x.example"),  # conformance 72: NFC
    ],
)
def test_equal_addresses_have_one_canonical_form(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


def test_the_case_of_a_local_part_is_kept() -> None:
    # conformance 21
    assert canonical("Bob@x.example") != canonical("bob@x.example")


def test_find_prefers_the_exact_address_then_ignores_case_then_sub_address() -> None:
    candidates = ["bob@x.example", "Bob@x.example", "carol+offers@x.example"]
    assert find("Bob@X.example", candidates) == "Bob@x.example"
    assert find("CAROL+offers@x.example", candidates) == "carol+offers@x.example"
    assert find("carol@x.example", candidates) == "carol+offers@x.example"
    assert find("dave@x.example", candidates) is None


def test_find_chooses_nobody_where_several_are_meant() -> None:
    assert find("BOB@x.example", ["bob@x.example", "Bob@x.example"]) is None
    assert find("bob@x.example", ["bob+a@x.example", "bob+b@x.example"]) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a@x.example", "b@X.EXAMPLE", True),
        ("a@mx.x.example", "b@x.example", True),
        ("a@x.example", "b@mail.x.example", True),
        ("a@evilx.example", "b@x.example", False),
        ("a@example", "b@x.example", False),
        ("a", "b@x.example", False),
    ],
)
def test_domains_match_when_one_is_or_lies_below_the_other(one: str, other: str, *, same: bool) -> None:
    assert same_or_parent_domain(one, other) is same
