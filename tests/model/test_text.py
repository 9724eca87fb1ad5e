from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.model.text import FOREIGN_TEXT_BYTES, clean


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain \u2013 prüfen", "plain \u2013 prüfen"),
        ("one\r\n\ttwo", "one two"),
        ("\x1b[31mred\x07\x00\x9b", "[31mred"),
        ("evil\u202egpj.exe\u2066", "evilgpj.exe"),
        ("a\u2028b\x85c", "a b c"),
        ("\ud800x", "x"),
        ("  a  ", "a"),
    ],
)
def test_foreign_text_loses_what_steers_terminals_and_reading_order(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_long_text_is_cut_and_says_so() -> None:
    cut = clean("ü" * 5000)
    assert cut.endswith("…")
    assert len(cut.encode()) <= FOREIGN_TEXT_BYTES


@given(st.text(), st.integers(min_value=3, max_value=64))
def test_the_limit_holds_and_cleaning_twice_changes_nothing(text: str, limit: int) -> None:
    once = clean(text, limit)
    assert len(once.encode("utf-8")) <= limit
    assert clean(once, limit) == once
