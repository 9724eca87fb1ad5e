from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.sources import imap_grammar as grammar
from mdnwatch.sources.imap_framing import Framer, ProtocolError, Response
from mdnwatch.sources.imap_grammar import Fetched

AT = datetime(2026, 11, 23, 19, 21, 8, tzinfo=UTC)


def response(text: bytes) -> Response:
    (one,) = Framer().feed(text)
    return one


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            b'* 3 FETCH (UID 7 RFC822.SIZE 12 INTERNALDATE "23-Nov-2026 19:21:08 +0000" BODY[]<0> {5}\r\nhello)\r\n',
            Fetched(7, 12, AT, b"hello"),
            id="as Dovecot answers",
        ),
        pytest.param(
            b'* 3 fetch (body[header] {5}\r\nhello uid 7 internaldate "23-nov-2026 20:21:08 +0100" rfc822.size 12)\r\n',
            Fetched(7, 12, AT, b"hello"),
            id="in another order and case",
        ),
        pytest.param(
            b'* 3 FETCH (FLAGS (\\Seen $X) UID 7 X (("(" b) {1}\r\n)) BODY[] "a\\"(\\\\")\r\n',
            Fetched(7, data=b'a"(\\'),
            id="with lists, brackets in strings, and a body as a quoted string",
        ),
        pytest.param(b"* 3 FETCH (UID 7 BODY[] NIL)\r\n", Fetched(7), id="without content, as Exchange answers"),
        pytest.param(b'* 3 FETCH (UID 7 BODY[] "")\r\n', Fetched(7, data=b""), id="an empty message"),
        pytest.param(b"* 3 FETCH (FLAGS (\\Recent))\r\n", Fetched(None), id="a push of flags"),
        pytest.param(
            b'* 3 FETCH (UID 7 BODY["HEADER.FIELDS" ("To" "Cc")] {2}\r\nTo)\r\n',
            Fetched(7, data=b"To"),
            id="with quoted names in the section, as Courier answers",
        ),
        pytest.param(
            b'* 3 FETCH (UID 7 INTERNALDATE " 1-Jan-0000 00:00:00 +0000")\r\n',
            Fetched(7),
            id="with a date that is none",
        ),
    ],
)
def test_fetch_answers_are_read(text: bytes, expected: Fetched) -> None:
    assert grammar.fetched(response(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"* 3 FETCH\r\n",
        b"* 3 FETCH (UID\r\n",
        b"* 3 FETCH (UID)\r\n",
        b"* 3 FETCH (UID 7\r\n",
        b"* 3 FETCH (UID x7)\r\n",
        b"* 3 FETCH (FLAGS (\\Seen)\r\n",
        b'* 3 FETCH (BODY[] "no end)\r\n',
        b"* 3 FETCH ((UID) 7)\r\n",
        b"* 3 FETCH (UID " + b"9" * 5000 + b")\r\n",
    ],
)
def test_a_fetch_answer_that_cannot_be_read_is_an_error_and_no_empty_message(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        grammar.fetched(response(text))


@given(st.binary(max_size=200).filter(lambda text: b"\r\n" not in text))
def test_whatever_follows_fetch_is_read_or_refused(text: bytes) -> None:
    with suppress(ProtocolError):
        assert isinstance(grammar.fetched((b"* 1 FETCH (" + text,)), Fetched)


@given(st.integers(1, 2**32 - 1), st.binary(max_size=100), st.permutations(["UID", "SIZE", "DATE", "BODY"]))
def test_the_quick_way_and_the_thorough_one_read_the_same(uid: int, body: bytes, order: list[str]) -> None:
    items = {
        "UID": b"UID %d" % uid,
        "SIZE": b"RFC822.SIZE %d" % len(body),
        "DATE": b'INTERNALDATE "23-Nov-2026 19:21:08 +0000"',
        "BODY": b"BODY[]<0> {%d}\r\n%s" % (len(body), body),
    }
    one = response(b"* 1 FETCH (" + b" ".join(items[name] for name in order) + b")\r\n")
    expected = Fetched(uid, len(body), AT, body)
    assert grammar.fetched(one) == grammar._fetched_by_tokens(one) == expected


def listed(text: bytes) -> tuple[str, str, str, set[str]] | None:
    one = grammar.listed(response(text))
    return (one.wire, one.name, one.delimiter, set(one.attributes)) if one else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'* LIST (\\HasNoChildren \\SENT) "/" Sent\r\n', ("Sent", "Sent", "/", {"\\hasnochildren", "\\sent"})),
        (b'* LIST () "." "INBOX.Sent Items"\r\n', ("INBOX.Sent Items", "INBOX.Sent Items", ".", set())),
        (b'* LIST () NIL "a \\"b\\" \\\\"\r\n', ('a "b" \\', 'a "b" \\', "", set())),
        (b'* LIST () "/" {4}\r\nS&-T\r\n', ("S&-T", "S&T", "/", set())),
        (b'* LIST () "/" "Envoy&AOk-s"\r\n', ("Envoy&AOk-s", "Envoyés", "/", set())),
        (b'* LIST () "/" [Gmail]/All\r\n', ("[Gmail]/All", "[Gmail]/All", "/", set())),
        (b'* LIST () "/" a ("CHILDINFO" ("SUBSCRIBED"))\r\n', ("a", "a", "/", set())),
    ],
)
def test_mailboxes_are_listed_with_their_names_for_the_server_and_for_people(
    text: bytes, expected: tuple[str, str, str, set[str]]
) -> None:
    assert listed(text) == expected


def test_a_name_that_is_no_utf8_goes_back_to_the_server_as_it_came() -> None:
    one = grammar.listed(response(b'* LIST () "/" "Envoy\xe9s"\r\n'))
    assert one is not None
    assert one.wire.encode("utf-8", "surrogateescape") == b"Envoy\xe9s"


@pytest.mark.parametrize("name", [b'""', b"{3}\r\na\r\n", b"{3}\r\na\0b", b"", b"{2}\r\n\r\n"])
def test_a_name_that_no_command_can_hold_is_left_out(name: bytes) -> None:
    assert listed(b'* LIST () "/" ' + name + b"\r\n") is None


def test_search_answers_may_be_empty_and_may_end_in_a_modseq() -> None:
    assert list(grammar.searched(response(b"* SEARCH\r\n"))) == []
    assert list(grammar.searched(response(b"* SEARCH 4 9 2 (MODSEQ 917)\r\n"))) == [4, 9, 2]


def test_a_search_date_is_english_in_every_locale() -> None:
    assert grammar.search_date(datetime(2026, 3, 5, tzinfo=UTC)) == "5-Mar-2026"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"23-Nov-2026 19:21:08 +0000", AT),
        (b"23-Nov-2026 12:21:08 -0700", AT),
        (b" 1-Mar-2026 00:00:00 +0100", datetime(2026, 2, 28, 23, tzinfo=UTC)),
        (b"31-Dec-2016 23:59:60 +0000", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (b"31-Feb-2026 00:00:00 +0000", None),
        (b"23-Nov-9999 23:21:08 -2359", datetime(9999, 11, 24, 23, 20, 8, tzinfo=UTC)),
        (b"31-Dec-9999 23:21:08 -2359", None),
        (b"yesterday", None),
    ],
)
def test_internal_dates_are_utc(text: bytes, expected: datetime | None) -> None:
    assert grammar.internal_date(text) == expected


def test_response_codes_and_words_are_told_apart() -> None:
    assert grammar.code("[UIDVALIDITY 42] UIDs valid") == ("UIDVALIDITY", "42")
    assert grammar.code("[alert] down at noon") == ("ALERT", "")
    assert grammar.code("no code") == ("", "")
    assert grammar.words("[AUTHENTICATIONFAILED] Invalid credentials.") == "Invalid credentials."


def test_quoted_strings_escape_what_ends_them() -> None:
    assert grammar.quoted('a "b" \\ c') == '"a \\"b\\" \\\\ c"'
