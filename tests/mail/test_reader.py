from __future__ import annotations

import dataclasses
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples.golden import REAL, as_json, messages, plain

from mdnwatch.mail.reader import read
from mdnwatch.model.report import Dsn, Malformed, Mdn, Report

DSN = (REAL / "sendmail-SMmix-dsn-failed.eml").read_bytes()
MDN = (REAL / "tb-TBauto-mdn-displayed-manual.eml").read_bytes()
GLOBAL = (REAL / "postfix-PFu8a-dsn-failed-global.eml").read_bytes()


@pytest.mark.parametrize("path", messages(), ids=lambda path: path.stem)
def test_a_real_message_is_read_as_its_golden_file_says(path: Path) -> None:
    assert as_json(path.read_bytes()) == path.with_suffix(".json").read_text("utf-8")


@pytest.mark.parametrize("path", messages(), ids=lambda path: path.stem)
def test_line_ends_change_nothing_but_the_line_ends(path: Path) -> None:
    data = path.read_bytes()
    expected = path.with_suffix(".json").read_text("utf-8")
    assert as_json(data.replace(b"\r\n", b"\n")) == expected
    assert as_json(data.replace(b"\r\n", b"\r")) == expected


def test_there_are_as_many_golden_files_as_messages() -> None:
    assert len(messages()) == 108
    assert {path.stem for path in REAL.glob("*.json")} == {path.stem for path in messages()}


# Each byte of a message takes a second; some of them show a fault as well.
EVERY_BYTE = pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 17])


def read_whole(data: bytes) -> Report | Malformed | None:
    """The report with all that its head and returned part say, which is else read when it is asked for."""
    report = read(data)
    for part in (report.head, report.returned) if report is not None else ():
        for field in dataclasses.fields(part) if part is not None else ():
            getattr(part, field.name)
    return report


def essence(report: object) -> object:
    """What decides: recipients and actions, or the disposition."""
    if isinstance(report, Dsn):
        return [
            (block.final_recipient, block.original_recipient, block.action, block.status) for block in report.recipients
        ]
    if isinstance(report, Mdn):
        return (report.disposition, report.final_recipient, report.original_message_id)
    return type(report)


def report_range(data: bytes) -> range:
    """The bytes of the report part with its header, its delimiters not among them."""
    start = data.index(
        b"Content-Type: message/d" if b"Content-Type: message/d" in data else b"Content-Type: message/global-d"
    )
    return range(start, data.index(b"\r\n--", start))


@pytest.mark.parametrize("data", [DSN, MDN, GLOBAL], ids=["dsn", "mdn", "global"])
@EVERY_BYTE
def test_damage_in_the_text_and_in_the_returned_part_changes_no_recipient_and_no_action(data: bytes, step: int) -> None:
    spared = report_range(data)
    body = data.index(b"\r\n\r\n") + 4
    expected = essence(read(data))
    # Delimiter lines have tests of their own below.
    for offset in range(body, len(data), step):
        in_delimiter = data[data.rfind(b"\n", 0, offset) + 1 :].startswith(b"--")
        in_part_header = b"content-" in data[data.rfind(b"\n", 0, offset) + 1 : offset + 10].lower()
        if offset in spared or in_delimiter or in_part_header or data[offset] in b"\r\n":
            continue
        for damage in (b"\0", b"\xff", b":"):
            assert essence(read(data[:offset] + damage + data[offset + 1 :])) == expected


@pytest.mark.parametrize("data", [DSN, MDN, GLOBAL], ids=["dsn", "mdn", "global"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: report_range(data).stop],
        lambda data: data[: report_range(data).stop + 40],
        lambda data: data.replace(b'boundary="', b'boundary="wrong'),
        lambda data: data.replace(b"boundary=", b"broken="),
        lambda data: data.replace(b"MIME-Version: 1.0\r\n", b"no colon here\r\n: :\r\n\xff\xfe\r\n", 1),
        lambda data: data[: report_range(data).stop] + b"\r\n" + b"\0\r" * 100,
        lambda data: b"From someone\r\n\r\n" + data,
    ],
    ids=["cut", "cut in the returned part", "wrong boundary", "no boundary", "broken header", "NUL and CR", "mbox"],
)
def test_damage_of_the_structure_changes_no_recipient_and_no_action(
    data: bytes, damage: Callable[[bytes], bytes]
) -> None:
    assert essence(read(damage(data))) == essence(read(data))


@EVERY_BYTE
def test_damage_in_one_block_loses_only_that_block(step: int) -> None:
    start = DSN.index(b"Final-Recipient: RFC822; x@reject")
    end = DSN.index(b"\r\n\r\nFinal-Recipient: RFC822; y@quota")
    intact = read(DSN)
    assert isinstance(intact, Dsn)
    for offset in range(start, end, step):
        for damage in (b"\0", b"\xff", b":", b" "):
            report = read(DSN[:offset] + damage + DSN[offset + 1 :])
            assert isinstance(report, Dsn)
            assert report.recipients[-1] == intact.recipients[1]


@pytest.mark.parametrize("data", [DSN, MDN, GLOBAL], ids=["dsn", "mdn", "global"])
@EVERY_BYTE
def test_a_message_cut_anywhere_is_read_or_malformed_or_ordinary(data: bytes, step: int) -> None:
    for end in range(0, len(data), step):
        assert isinstance(read_whole(data[:end]), Report | Malformed | None)


PIECES = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b"\r",
        b"\n\n",
        b"\0",
        b"\xff\xfe",
        b" ",
        b"--b",
        b"--b--",
        b"Content-Type: multipart/report; report-type=disposition-notification; boundary=b",
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b",
        b"Content-Type: message/disposition-notification",
        b"Content-Type: message/global-delivery-status",
        b"Content-Type: message/rfc822",
        b"Content-Transfer-Encoding: base64",
        b"Disposition: manual-action/MDN-sent-manually; displayed",
        b"Final-Recipient: rfc822; a@b",
        b"Original-Recipient: ;",
        b"Action: failed",
        b"Status: 5.1.1",
        b"Reporting-MTA: dns; x",
        b"Last-Attempt-Date: Mon, 1 Jan 0001 00:00:00 +9999",
        b"Message-ID: <<a@b>",
        b"Subject: =?utf-8?b?gICA?= =?x?q?=80?=",
        b'From: "a (b <c',
        b"From: ",
        b"To: a:b,c@d;<@x:y@z>",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=8)), max_size=40))
def test_no_bytes_make_the_reader_raise(pieces: list[bytes]) -> None:
    report = read(b"".join(pieces))
    assert isinstance(report, Report | Malformed | None)
    # Every field can be written down.
    assert plain(report) is None or isinstance(plain(report), dict)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([DSN, MDN, GLOBAL]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4), st.one_of(PIECES, st.binary(max_size=4))), max_size=12),
)
def test_no_damage_makes_the_reader_raise(data: bytes, damages: list[tuple[float, int, bytes]]) -> None:
    for place, drop, piece in damages:
        offset = int(place * len(data))
        data = data[:offset] + piece + data[offset + drop :]
    assert isinstance(read_whole(data), Report | Malformed | None)


HEAD = b"From: a@b\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n"
PART = HEAD + b"\n--b\n\nx\n--b\nContent-Type: message/delivery-status\n"


def many_recipients(size: int) -> bytes:
    block = (
        b"Final-Recipient: rfc822; a@b\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; " + b"x" * 900 + b"\n\n"
    )
    return PART + b"\n" + block * (size // len(block))


def tiny_blocks(size: int) -> bytes:
    return PART + b"\n" + b"Action: x\n\n" * (size // 11)


def column_0(size: int) -> bytes:
    return PART + b"\nFinal-Recipient: rfc822; a@b\nAction: failed\nDiagnostic-Code: smtp; x\n" + b"y y\n" * (size // 4)


def base64_part(size: int) -> bytes:
    return PART + b"Content-Transfer-Encoding: base64\n\n" + b"QWN0aW9uOiB4Cgo=\n" * (size // 17)


def encoded_words(size: int) -> bytes:
    return (
        b"Subject: " + b"=?utf-8?q?=C3?= " * (size // 16) + b"\n" + PART + b"\nFinal-Recipient: a@b\nAction: failed\n"
    )


def open_words(size: int) -> bytes:
    return b"Subject: " + b"=?a?q?" * (size // 6) + b"\n" + PART + b"\nFinal-Recipient: a@b\nAction: failed\n"


def open_angles(size: int) -> bytes:
    fields = b"To: " + b"<" * (size // 4) + b"\nReferences: " + b"<" * (size // 4) + b"\nFrom: " + b'"\\' * (size // 8)
    return fields + b"\nDate: " + b"1 " * (size // 8) + b"\n" + PART + b"\nFinal-Recipient: a@b\nAction: failed\n"


def many_addresses(size: int) -> bytes:
    return b"To: " + b'"x" <a@b>, ' * (size // 11) + b"\n" + PART + b"\nFinal-Recipient: a@b\nAction: failed\n"


def flat_text(size: int) -> bytes:
    return HEAD + b"\n" + b"Final-Recipient: a@b\nword word\n\n" * (size // 32)


def returned_header(size: int) -> bytes:
    block = b"\nFinal-Recipient: a@b\nAction: failed\n--b\nContent-Type: message/rfc822\n\n"
    return PART + block + b"Message-ID: <\n" * (size // 14)


HOSTILE = [
    many_recipients,
    tiny_blocks,
    column_0,
    base64_part,
    encoded_words,
    open_words,
    open_angles,
    many_addresses,
    flat_text,
    returned_header,
]


def seconds(data: bytes) -> float:
    best = 1e9
    for _ in range(2):
        start = time.process_time()
        read_whole(data)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("make", HOSTILE)
def test_time_grows_no_faster_than_the_message(make: Callable[[int], bytes]) -> None:
    small, large = make(50_000), make(200_000)
    # Quadratic work would take sixteen times as long; the constant keeps noise out.
    assert seconds(large) < 8 * seconds(small) + 0.02


@pytest.mark.slow
@pytest.mark.parametrize("make", HOSTILE)
def test_memory_is_at_most_three_times_the_message(make: Callable[[int], bytes]) -> None:
    data = make(10_000_000)
    tracemalloc.start()
    try:
        read_whole(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The message itself is the first of the three.
    assert peak < 2 * len(data)


@pytest.mark.slow
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_report_that_returns_50_mb_is_read_in_bounded_time_and_memory(line_end: bytes) -> None:
    body = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\n" * (50_000_000 // 38)
    data = DSN.replace(b"\r\n", b"\n").replace(b"text/rfc822-headers", b"message/rfc822")
    end = data.rindex(b"\n--")
    data = (data[:end] + b"\n\n" + body + data[end:]).replace(b"\n", line_end)
    tracemalloc.start()
    start = time.process_time()
    try:
        report = read(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert essence(report) == essence(read(DSN))
    assert peak < 2 * len(data)
    assert time.process_time() - start < 20
