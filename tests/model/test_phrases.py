"""Phrases are found as `re` would find them, only faster."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.mail import bounce_words
from mdnwatch.model import reason_words
from mdnwatch.model.phrases import Phrases, pieces, split_alternatives

TABLES = [
    *(lines for _, lines in reason_words._TABLE),
    r"a(?:b|c)d|[|x]y|\|z|over (?:the )?quota|\bno such\b|é?t[eé]",
]
WORDS = st.sampled_from(
    ["no", "such", "user", "mailbox", "is", "full", "over", "quota", "host", "spam", "|", "xy", "abd"]
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("over quota", ("over quota",)),
        (r"\bno such\b", ("no such",)),
        ("colou?rs of", ("rs of",)),
        (r"ip\.address", ("ip.address",)),
        ("(?:mail|user) not found", (" not found",)),
        ("(?:mailbox|user) of (?:them|yours)", ("them", "yours")),
        ("is (?:no (?:valid|known)|never)? a", ("is ",)),
        ("is (?:no (?:valid|known)|never)", ("valid", "known", "never")),
        ("(?<!retry )timed", ("timed",)),
        (r"a{2,3}bc", ("bc",)),
        ("x+yz", ("yz",)),
        ("[abc]d", ("d",)),
        ("(?:a|b)", ("a", "b")),
        (r"\d\d", ("",)),
    ],
)
def test_the_longest_pieces_of_which_every_match_holds_one_are_found(
    expression: str, expected: tuple[str, ...]
) -> None:
    assert pieces(expression) == expected


def test_only_bars_outside_of_groups_and_classes_separate_alternatives() -> None:
    assert list(split_alternatives(r"a(?:b|(?:c|d))|[|x]y|\|z")) == ["a(?:b|(?:c|d))", "[|x]y", r"\|z"]


@pytest.mark.parametrize("lines", TABLES, ids=range(len(TABLES)))
@given(st.lists(WORDS, max_size=8).map(" ".join))
def test_a_text_holds_a_phrase_exactly_where_the_whole_expression_matches(lines: str, text: str) -> None:
    whole = re.compile("|".join(line.strip() for line in lines.strip().split("\n")), re.MULTILINE)
    assert Phrases(lines).within(text) == (whole.search(text) is not None)


def test_words_of_failure_are_found_in_any_case() -> None:
    assert bounce_words.is_failure("Delivery to x FAILED")
    assert bounce_words.is_failure("Не удалось доставить письмо")  # noqa: RUF001 - Russian
    assert not bounce_words.is_failure("the parcel arrived")
