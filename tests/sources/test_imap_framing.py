from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.sources.imap_framing import Framer, ProtocolError, Response

# A greeting, a glued push, literals with everything in them, a status text that looks like a literal.
STREAM = (
    b"* OK [CAPABILITY IMAP4rev1] ready {5}\r\n"
    b"* 3 FETCH (UID 7 BODY[]<0> {11}\r\na\r\n* 9 OK\r\n BODY[HEADER] {0}\r\n FLAGS ())\r\n"
    b'* LIST () "/" {6}\r\nSent {1\r\n'
    b"+ idling {3}\r\n"
    b"* 4 EXISTS\r\nA1 NO sorry {7}\r\n"
)
RESPONSES: list[Response] = [
    (b"* OK [CAPABILITY IMAP4rev1] ready {5}",),
    (b"* 3 FETCH (UID 7 BODY[]<0> {11}", b"a\r\n* 9 OK\r\n", b" BODY[HEADER] {0}", b"", b" FLAGS ())"),
    (b'* LIST () "/" {6}', b"Sent {", b"1"),
    (b"+ idling {3}",),
    (b"* 4 EXISTS",),
    (b"A1 NO sorry {7}",),
]


def frame(*pieces: bytes, max_response: int = 1000) -> list[Response]:
    framer = Framer(max_response)
    return [response for piece in pieces for response in framer.feed(piece)]


def test_responses_are_cut_at_their_ends() -> None:
    assert frame(STREAM) == RESPONSES


def test_a_split_at_every_byte_changes_nothing() -> None:
    assert frame(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == RESPONSES


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_a_split_anywhere_changes_nothing(cuts: list[int]) -> None:
    ends = sorted({0, len(STREAM), *cuts})
    assert frame(*(STREAM[start:end] for start, end in pairwise(ends))) == RESPONSES


@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(1, 40))
def test_literals_hold_whatever_bytes(literals: list[bytes], size: int) -> None:
    stream = b"* X" + b"".join(b" {%d}\r\n%s" % (len(literal), literal) for literal in literals) + b"\r\n"
    responses = frame(*(stream[at : at + size] for at in range(0, len(stream), size)))
    assert [response[1::2] for response in responses] == [tuple(literals)]


def test_a_literal_larger_than_allowed_is_refused_when_it_is_announced() -> None:
    with pytest.raises(ProtocolError):
        frame(b"* 1 FETCH (BODY[] {1001}\r\n")


def test_a_line_that_does_not_end_is_refused() -> None:
    with pytest.raises(ProtocolError):
        frame(*[b"x" * 100] * 11)


def test_many_small_literals_together_are_bounded_too() -> None:
    with pytest.raises(ProtocolError):
        frame(b"* X" + b" {100}\r\n" + b"x" * 100, *[b" {100}\r\n" + b"x" * 100] * 10)


def test_what_is_discarded_is_not_seen_again() -> None:
    framer = Framer()
    seen = []
    for response in framer.feed(b"A1 OK begin TLS\r\n* CAPABILITY injected\r\n* half"):
        seen.append(response)
        framer.discard()
    assert seen == [(b"A1 OK begin TLS",)]
    assert list(framer.feed(b"* OK\r\n")) == [(b"* OK",)]


def test_ten_thousand_responses_in_one_piece_do_not_recurse() -> None:
    assert len(frame(b"* 1 EXISTS\r\n" * 10_000)) == 10_000


def test_time_grows_with_the_bytes_and_not_with_their_square() -> None:
    def seconds(count: int) -> float:
        framer = Framer(1 << 24)
        begun = time.process_time()
        for _ in range(count):
            for byte in (b"* 1 FETCH (BODY[] {400}\r\n", b"x" * 200, b"x" * 200, b")", b"\r", b"\n"):
                list(framer.feed(byte))
        return time.process_time() - begun

    assert seconds(8000) < 40 * max(seconds(800), 0.005)


def test_a_long_line_in_small_pieces_is_searched_once() -> None:
    framer = Framer(1 << 22)
    begun = time.process_time()
    for _ in range(20_000):
        assert list(framer.feed(b"1234567 " * 12)) == []
    # Searched again from its start with each piece, this takes minutes.
    assert time.process_time() - begun < 5
