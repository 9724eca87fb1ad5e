from __future__ import annotations

from mdnwatch.mail.header import MAX_FIELDS, Header


def test_fields_are_found_without_case_and_unfolded() -> None:
    header = Header(b"Subject: one\n two\n\tthree \nX-A:b\n")
    assert header.get("subject") == "one two three"
    assert header.get("x-a") == "b"
    assert header.get("date") is None
    assert "x-a" in header


def test_of_several_fields_the_topmost_counts_and_all_can_be_had() -> None:
    header = Header(b"Received: new\nReceived: old\n")
    assert header.get("received") == "new"
    assert header.all("received") == ("new", "old")
    assert header.all("date") == ()


def test_a_broken_line_loses_no_field_after_it() -> None:
    header = Header(b"From: a@example.org\nthis is no field\n: nor this\nTo : b@example.org\n")
    assert header.get("from") == "a@example.org"
    assert header.get("to") == "b@example.org"


def test_bytes_in_one_field_that_are_no_utf8_change_no_other_field() -> None:
    header = Header("From: bjørn@example.org\nSubject: ".encode() + b"pr\xfcfen und mehr Worte\nTo: x@example.org\n")
    assert header.get("from") == "bjørn@example.org"
    subject = header.get("subject")
    assert subject is not None
    assert subject.startswith("pr")
    assert subject.endswith("fen und mehr Worte")


def test_nul_bytes_stay_in_their_field() -> None:
    assert Header(b"A: b\0c\nD: e\n").get("d") == "e"


def test_a_header_of_more_fields_than_any_mail_has_is_cut() -> None:
    assert len(Header(b"a: b\n" * (MAX_FIELDS + 10)).fields()) == MAX_FIELDS
