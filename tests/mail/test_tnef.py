"""One message is Outlook's own; the others are built by hand from MS-OXTNEF."""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.mail.reader import read
from mdnwatch.mail.recognise import wants_body
from mdnwatch.model.evidence import Kind, extract
from mdnwatch.model.report import DispositionType, Mdn
from mdnwatch.parse import parse

OUTLOOK = (Path(__file__).parents[1] / "samples" / "reports" / "outlook-tnef-displayed.eml").read_bytes()
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def attribute(identifier: int, value: bytes) -> bytes:
    return struct.pack("<BII", 1, identifier, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def text(tag: int, value: str, *, wide: bool = False) -> bytes:
    raw = value.encode("utf-16-le") + b"\0\0" if wide else value.encode() + b"\0"
    return struct.pack("<HHII", 0x1F if wide else 0x1E, tag, 1, len(raw)) + raw + bytes(-len(raw) % 4)


def tnef(message_class: str | None, *properties: bytes, count: int | None = None) -> bytes:
    found = struct.pack("<IH", 0x223E9F78, 1)
    if message_class is not None:
        found += attribute(0x00078008, message_class.encode() + b"\0")
    return found + attribute(
        0x00069003, struct.pack("<I", len(properties) if count is None else count) + b"".join(properties)
    )


def message(stream: bytes, *, wrapped: bool = False) -> bytes:
    part = (
        "Content-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\n"
        f"{base64.encodebytes(stream).decode()}"
    )
    head = "From: Bob <bob@there.example>\nSubject: Gelesen: Angebot\nDate: Mon, 23 Nov 2026 09:00:00 +0000\n"
    if wrapped:
        return f"{head}Content-Type: multipart/mixed; boundary=b\n\n--b\n\nread\n--b\n{part}\n--b--\n".encode()
    return (head + part).encode()


def mdn(data: bytes) -> Mdn:
    report = read(data)
    assert isinstance(report, Mdn)
    assert report.format == "tnef"
    return report


def test_a_receipt_of_outlook_is_read() -> None:
    report = mdn(OUTLOOK)
    disposition = report.disposition
    assert disposition is not None
    assert (disposition.action_mode, disposition.sending_mode, disposition.type) == (
        "manual-action",
        "mdn-sent-manually",
        DispositionType.DISPLAYED,
    )
    assert report.returned is not None
    assert report.returned.subject == "PhD tema"
    assert report.returned.date == datetime(2008, 4, 14, 10, 32, 18, tzinfo=UTC)
    assert report.extensions == (("PidTagReportTime", "2008-04-14T13:42:21.484000+00:00"),)
    assert [piece.kind for piece in extract(report, "f" * 64, NOW)] == [Kind.DISPLAYED]
    assert wants_body(OUTLOOK.split(b"\n\n")[0])


@pytest.mark.parametrize(
    ("message_class", "expected"),
    [
        ("REPORT.IPM.Note.IPNRN", DispositionType.DISPLAYED),
        ("REPORT.IPM.Note.IPNNRN", DispositionType.DELETED),
        ("report.ipm.schedule.meeting.request.ipnrn", DispositionType.DISPLAYED),
        ("IPM.Microsoft Mail.Read Receipt", DispositionType.DISPLAYED),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_the_class_says_what_became_of_the_message(
    message_class: str, expected: DispositionType, *, wrapped: bool
) -> None:
    disposition = mdn(message(tnef(message_class), wrapped=wrapped)).disposition
    assert disposition is not None
    assert (disposition.type, disposition.action_mode) == (expected, None)
    in_properties = mdn(message(tnef(None, text(0x001A, message_class, wide=True)), wrapped=wrapped)).disposition
    assert in_properties == disposition


@pytest.mark.parametrize("message_class", ["IPM.Note", "REPORT.IPM.Note.NDR", "IPM.Note.IPNRN", "", "IPM.Appointment"])
def test_other_tnef_is_ordinary_mail(message_class: str) -> None:
    assert read(message(tnef(message_class))) is None


def test_the_original_message_id_is_read_behind_properties_of_every_kind() -> None:
    named = struct.pack("<HH16sII", 0x0003, 0x8001, bytes(16), 0, 7) + bytes(4)
    by_string = struct.pack("<HH16sII", 0x0003, 0x8002, bytes(16), 1, 6) + b"abcdef\0\0" + bytes(4)
    several = struct.pack("<HHI", 0x1003, 0x0010, 2) + bytes(8)
    flag = struct.pack("<HHI", 0x000B, 0x0C08, 1)
    stream = tnef(
        "REPORT.IPM.Note.IPNRN", named, by_string, several, flag, text(0x1046, "<offer@mail.example>", wide=True)
    )
    report = mdn(message(stream))
    assert report.original_message_id == "<offer@mail.example>"
    assert parse(message(stream), "x")["original_message_id"] == "<offer@mail.example>"


def test_a_damaged_stream_costs_only_what_is_behind_the_damage() -> None:
    whole = tnef("REPORT.IPM.Note.IPNRN", text(0x1046, "<offer@mail.example>"))
    for end in range(len(whole)):
        report = read(message(whole[:end]))
        assert report is None or isinstance(report, Mdn)
    assert mdn(message(whole[:-20])).original_message_id is None
    # Numbers that promise more than there is.
    assert mdn(message(tnef("REPORT.IPM.Note.IPNRN", count=0xFFFFFFFF))).disposition is not None
    endless = struct.pack("<HHI", 0x1003, 0x0010, 0xFFFFFFFF)
    assert mdn(message(tnef("REPORT.IPM.Note.IPNRN", endless))).disposition is not None


def test_a_time_that_no_calendar_has_is_left_out() -> None:
    for ticks in (-(2**63), 2**63 - 1):
        late = struct.pack("<HHq", 0x0040, 0x0032, ticks)
        assert mdn(message(tnef("REPORT.IPM.Note.IPNRN", late))).extensions == ()


@given(st.binary(max_size=200))
def test_no_stream_whatever_raises(stream: bytes) -> None:
    read(message(struct.pack("<IH", 0x223E9F78, 1) + stream))
    read(message(tnef("REPORT.IPM.Note.IPNRN", stream, count=3)))
