from __future__ import annotations

import base64

import pytest

from mdnwatch.mail.transfer import base64_bytes, decode_transfer, transfer_encoding, with_lf


def test_line_ends_of_every_kind_become_lf() -> None:
    assert with_lf(b"a\r\nb\nc\rd\r\n") == b"a\nb\nc\nd\n"
    assert with_lf(b"a\rb\r") == b"a\nb\n"
    assert with_lf(b"a\r\r\nb") == b"a\nb"


def test_as_many_lone_crs_as_lone_lfs_are_not_taken_for_crlf() -> None:
    assert with_lf(b"a\rb\nc\r\nd") == b"a\nb\nc\nd"


def test_text_without_cr_is_not_copied() -> None:
    data = b"a\nb"
    assert with_lf(data) is data


@pytest.mark.parametrize("damage", [lambda t: t.rstrip(b"="), lambda t: t[:3] + b"\r\n *!" + t[3:], lambda t: t + b"A"])
def test_damaged_base64_gives_what_is_readable(damage: object) -> None:
    text = base64.b64encode(b"Final-Recipient: rfc822; a@example.org")
    assert callable(damage)
    assert base64_bytes(damage(text)).startswith(b"Final-Recipient: rfc822; a@example.or")


def test_quoted_printable_is_undone_and_other_encodings_change_nothing() -> None:
    assert decode_transfer(b"a=3Db=\r\nc", "quoted-printable") == b"a=bc"
    assert decode_transfer(b"a=3Db", "7bit") == b"a=3Db"
    assert decode_transfer(b"a=3Db", "x-unheard-of") == b"a=3Db"


def test_a_transfer_encoding_is_read_without_case_comment_and_parameters() -> None:
    assert transfer_encoding(" Base64 (as usual); x=y") == "base64"
