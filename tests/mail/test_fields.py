from __future__ import annotations

import pytest

from mdnwatch.mail.fields import MAX_BLOCKS, Block, is_cut, joined, read_blocks, typed
from mdnwatch.model.report import Typed


def names(part: bytes) -> list[list[str]]:
    return [[name for name, _ in block.fields] for block in read_blocks(part)]


@pytest.mark.parametrize(
    "part",
    [
        b"A: 1\nB: 2\n\nC: 3\n",
        b"\n\nA: 1\nB: 2\n\n\n\nC: 3",
        b"A: 1\r\nB: 2\r\n\r\nC: 3\r\n",
        b"A: 1\rB: 2\r\rC: 3\r",
        b"A: 1\n  folded\nB: 2\n  \t\n\nC: 3\n\n",
    ],
)
def test_blocks_are_separated_by_any_number_of_blank_lines(part: bytes) -> None:
    # conformance 34, 97, 98
    assert names(part) == [["A", "B"], ["C"]]


def test_a_block_of_mime_fields_is_none() -> None:
    # conformance 100: Gmail's API nests the fields in a text/plain part.
    assert names(b"Content-Type: text/plain\n\nDisposition: x\n") == [["Disposition"]]


def test_lines_that_are_no_fields_are_skipped() -> None:
    assert names(b"A: 1\nsome text\n\nmore text\n\nB: 2\n") == [["A"], ["B"]]


def test_free_text_goes_on_in_column_0_and_an_address_does_not() -> None:
    block = read_blocks(b"Diagnostic-Code: smtp; one\n550-two\n550 http://x.example/\nFinal-Recipient: a@b\ngarbage\n")[
        0
    ]
    assert block.take("diagnostic-code") == "smtp; one 550-two 550 http://x.example/"
    assert block.take("final-recipient") == "a@b"


def test_bytes_in_one_value_that_are_no_utf8_change_no_other_value() -> None:
    block = read_blocks(b"Error: pr\xfcf\nFinal-Recipient: rfc822; " + "bjørn@example.org\n".encode())[0]
    assert block.take("final-recipient") == "rfc822; bjørn@example.org"
    assert (block.take("error") or "").startswith("pr")


def test_what_is_taken_is_no_extension_and_what_is_left_is() -> None:
    # conformance 3, 4
    block = Block([("A", " 1"), ("x-B", "2\n 3"), ("a", "4"), ("Error", "e1"), ("error", "e2")])
    assert block.take("a") == "1"
    assert block.take("a") is None
    assert block.get("x-b") == "2 3"
    assert block.take_all("error") == ("e1", "e2")
    assert block.take_all("error") == ()
    block.keep("Status", "odd")
    assert block.extensions() == (("x-B", "2 3"), ("a", "4"), ("Status", "odd"))


def test_blocks_can_be_joined() -> None:
    one, other = Block([("A", "1")]), Block([("B", "2")])
    assert joined((one,)) is one
    assert joined((one, other)).fields == [("A", "1"), ("B", "2")]
    assert joined(()).fields == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("rfc822; a@b", Typed("rfc822", "a@b")),
        # conformance 22
        ("RFC822;a@b ", Typed("rfc822", "a@b")),
        ("rfc822 (comment); a@b", Typed("rfc822", "a@b")),
        ("rfc822;rfc822;a@b", Typed("rfc822", "a@b")),
        ("a@b", Typed(None, "a@b")),
        ("x-postfix; host; said", Typed("x-postfix", "host; said")),
        # conformance 45: a missing type, while the text has a semicolon.
        ("550 5.1.1 unknown; rejected", Typed(None, "550 5.1.1 unknown; rejected")),
        ("rfc822;", None),
        ("", None),
        (None, None),
    ],
)
def test_typed_values_are_read(value: str | None, found: Typed | None) -> None:
    assert typed(value) == found


def test_a_part_of_more_lines_and_blocks_than_any_report_has_is_cut() -> None:
    part = b"A: b\n\n" * 50_000
    assert is_cut(part)
    assert len(read_blocks(part)) <= MAX_BLOCKS
