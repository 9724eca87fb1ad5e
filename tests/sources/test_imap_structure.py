from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.sources.imap_framing import ProtocolError
from mdnwatch.sources.imap_structure import MAX_DEPTH, Outline, outline

TEXT = '("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 2000000 30000)'
STATUS = '("MESSAGE" "DELIVERY-STATUS" NIL NIL "Delivery report" "7BIT" 380)'
ORIGINAL = (
    '("message" "rfc822" NIL NIL NIL "7BIT" 26000000 '
    '(NIL "Offer" (("A (b" NIL "alice" "mail.example")) NIL NIL NIL NIL NIL NIL "<offer@mail.example>") '
    '("text" "plain" NIL NIL NIL "7bit" 12 1) 30)'
)


def told(structure: str) -> Outline | None:
    return outline((f"* 7 FETCH (UID 9 BODYSTRUCTURE {structure})".encode(),))


def test_the_parts_of_a_report_are_numbered_and_typed() -> None:
    report = told(f'({TEXT}{STATUS}{ORIGINAL} "REPORT" ("REPORT-TYPE" "delivery-status" "BOUNDARY" "=_b\\"x") NIL NIL)')
    assert report == Outline(
        "",
        "multipart/report",
        '=_b"x',
        (
            Outline("1", "text/plain"),
            Outline("2", "message/delivery-status"),
            Outline("3", "message/rfc822"),
        ),
    )


def test_a_multipart_within_one_is_numbered_below_it() -> None:
    inner = f'({TEXT}{STATUS} "REPORT" ("BOUNDARY" "inner"))'
    wrapped = told(f'({TEXT}{inner} "MIXED" ("BOUNDARY" "outer"))')
    assert wrapped is not None
    assert [part.section for part in wrapped.leaves()] == ["1", "2.1", "2.2"]
    assert (wrapped.boundary, wrapped.parts[1].boundary) == ("outer", "inner")


@pytest.mark.parametrize("structure", [TEXT, "NIL", "()", "", '"x"', "(" * (MAX_DEPTH + 1) + ")" * (MAX_DEPTH + 1)])
def test_what_is_no_multipart_has_no_outline(structure: str) -> None:
    assert told(structure) is None


@given(st.text(alphabet='()" \\Nmr2{}', max_size=60))
def test_whatever_a_server_says_is_an_outline_or_refused(structure: str) -> None:
    with suppress(ProtocolError):
        told(structure)
