from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from mdnwatch.mail import mime
from mdnwatch.mail.mime import MAX_DEPTH, MAX_PARTS, Part

MESSAGE = b"""\
Subject: x
Content-Type: multipart/mixed; boundary=outer

preamble
--outer
Content-Type: text/plain

one
--outer
Content-Type: multipart/alternative; boundary="outer-inner"

--outer-inner

two
--outer-inner--
--outer
content-type: MESSAGE/RFC822
Content-Transfer-Encoding: BASE64

dHdv
--outer--
epilogue
--outer

no part
"""


def shape(part: Part) -> object:
    return [part.media_type, *map(shape, part.parts)] if part.parts else part.media_type


SHAPE = ["multipart/mixed", "text/plain", ["multipart/alternative", "text/plain"], "message/rfc822"]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r", b"\r\r\n"])
def test_structure_is_read_with_line_ends_of_any_kind(line_end: bytes) -> None:
    message = mime.read(MESSAGE.replace(b"\n", line_end))
    assert shape(message.root) == SHAPE
    assert message.defects == []
    assert message.header.get("subject") == "x"
    texts = [part.content(1000).strip() for part in mime.walk(message.root) if not part.parts]
    assert texts == [b"one", b"two", b"two"]


def test_structure_is_read_with_mixed_line_ends() -> None:
    lines = MESSAGE.split(b"\n")
    ends = [b"\r\n", b"\n", b"\r"]
    data = b"".join(line + ends[number % 3] for number, line in enumerate(lines))
    assert shape(mime.read(data).root) == SHAPE


@pytest.mark.parametrize("before", [b"From alice Mon Nov 23 15:16:37 2026\n", b"\n\n", b"\n>From x\n", b"  \t  \n"])
def test_what_an_mbox_or_a_gateway_puts_before_the_header_is_skipped(before: bytes) -> None:
    # conformance 97
    message = mime.read(before + MESSAGE)
    assert message.header.get("subject") == "x"
    assert shape(message.root) == SHAPE


@pytest.mark.parametrize(
    ("old", "new", "defect"),
    [
        (b"boundary=outer", b"boundary=other", "boundary-not-found"),
        (b"; boundary=outer", b"", "no-boundary"),
        (b"boundary=outer", b'boundary="', "no-boundary"),
        (b"--outer--\n", b"", None),
    ],
)
def test_a_missing_or_wrong_boundary_is_replaced_by_the_one_that_is_there(
    old: bytes, new: bytes, defect: str | None
) -> None:
    message = mime.read(MESSAGE.replace(old, new, 1))
    assert shape(message.root)[:4] == SHAPE  # type: ignore[index] # a multipart's shape is a list
    assert defect is None or defect in message.defects


def test_a_part_that_does_not_end_reaches_to_the_end() -> None:
    message = mime.read(MESSAGE[: MESSAGE.index(b"dHdv") + 4])
    assert shape(message.root) == SHAPE
    assert message.defects == ["no-closing-boundary"]
    assert message.root.parts[-1].content(100) == b"two"


def test_a_part_without_header_is_text() -> None:
    # Sendmail's first part (sendmail-SMmix-dsn-failed), and one without the blank line.
    data = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nA: b\n--b\nno field here\n\nmore\n--b--\n"
    parts = mime.read(data).root.parts
    assert [(part.media_type, part.content(100)) for part in parts] == [
        ("text/plain", b"A: b"),
        ("text/plain", b"no field here\n\nmore"),
    ]


def test_parts_of_a_digest_are_messages_unless_they_say_otherwise() -> None:
    data = b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nA: b\n--b\nContent-Type: text/plain\n\nx\n--b--\n"
    assert [part.media_type for part in mime.read(data).root.parts] == ["message/rfc822", "text/plain"]


def test_an_empty_message_is_an_empty_text() -> None:
    message = mime.read(b"")
    assert (message.root.media_type, message.root.content(10), message.header.fields()) == ("text/plain", b"", [])


def many_parts(size: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\nA: b\n\nx\n" * (size // 13)


def deep(size: int) -> bytes:
    level = b"Content-Type: multipart/mixed; boundary=b%06d\n\n--b%06d\n"
    return b"".join(level % (n, n) for n in range(size // 60))


def same_boundary_deep(size: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * (size // 48)


def long_header(size: int) -> bytes:
    return b"A: b\n" * (size // 5)


def different_fields(size: int) -> bytes:
    return b"".join(b"X%07d: b\n" % n for n in range(size // 12))


def folds(size: int) -> bytes:
    return b"Subject: x" + b"\n x" * (size // 3)


def blanks(size: int) -> bytes:
    return b"Content-Type: multipart/mixed; " + b" " * size + b"boundary=b\n\n"


def comments(size: int) -> bytes:
    return b"Content-Type: multipart/mixed; " + b"(" * size


def quotes(size: int) -> bytes:
    return b"Content-Type: multipart/mixed; " + b'a="\\"' * (size // 5)


def almost_boundaries(size: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + b"\n--bb" * (size // 5)


def nuls(size: int) -> bytes:
    return b"\0" * size


def lone_crs(size: int) -> bytes:
    return b"a: b\r" * (size // 5)


def mixed_line_ends(size: int) -> bytes:
    return b"a: b\r\n\rc\n" * (size // 9)


HOSTILE: list[Callable[[int], bytes]] = [
    many_parts,
    deep,
    same_boundary_deep,
    long_header,
    different_fields,
    folds,
    blanks,
    comments,
    quotes,
    almost_boundaries,
    nuls,
    lone_crs,
    mixed_line_ends,
]


def seconds(data: bytes) -> float:
    best = 1e9
    for _ in range(3):
        start = time.process_time()
        mime.read(data)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("make", HOSTILE)
def test_time_grows_no_faster_than_the_message(make: Callable[[int], bytes]) -> None:
    small, large = make(100_000), make(400_000)
    # Quadratic work would take sixteen times as long; the constant keeps noise out.
    assert seconds(large) < 8 * seconds(small) + 0.02


@pytest.mark.parametrize(
    "make",
    [pytest.param(make, marks=[pytest.mark.slow] if make is almost_boundaries else []) for make in HOSTILE],
)
def test_memory_is_at_most_three_times_the_message(make: Callable[[int], bytes]) -> None:
    data = make(3_000_000)
    tracemalloc.start()
    try:
        mime.read(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The message itself is the first of the three.
    assert peak < 2 * len(data)


def test_parts_beyond_the_limit_are_left_and_named() -> None:
    message = mime.read(many_parts(13 * 10_000))
    assert len(message.root.parts) == MAX_PARTS
    assert "too-many-parts" in message.defects


def test_levels_beyond_the_limit_are_left_and_named() -> None:
    message = mime.read(deep(60 * 1000))
    assert sum(1 for _ in mime.walk(message.root)) == MAX_DEPTH + 1
    assert "nested-too-deep" in message.defects
