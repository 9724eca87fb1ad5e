from __future__ import annotations

from dataclasses import replace

import pytest
from facts import block, dsn, head, mdn, sent_message

from mdnwatch.model.correlation import Ambiguous, Match, Rung, choose, keys_of_sent, lookup_keys
from mdnwatch.model.report import Report, Returned


def rung_of(report: Report, *known: str, replaces: bool = False, envelope_id: str | None = None) -> object:
    """What is chosen when the sent messages 1, 2, … bear these Message-IDs."""
    found: dict[str, frozenset[int]] = {}
    for number, message_id in enumerate(known, 1):
        for key in keys_of_sent(sent_message(message_id, envelope_id=envelope_id)):
            found[key] = found.get(key, frozenset()) | {number}
    return choose(lookup_keys(report), found, replaces_message_id=replaces)


A, B = "<a@mail.example>", "<b@mail.example>"


@pytest.mark.parametrize(
    ("report", "rung"),
    [
        (mdn(head(), original_message_id=A), Rung.ORIGINAL_MESSAGE_ID),
        (mdn(head(), original_message_id="a@mail.example"), Rung.ORIGINAL_MESSAGE_ID),  # without brackets
        (mdn(head(), original_message_id="<a@\r\n mail.example>"), Rung.ORIGINAL_MESSAGE_ID),  # folded
        (mdn(head(), original_message_id=None, returned=A), Rung.RETURNED_MESSAGE_ID),
        (dsn(head(), [block("x@y.example")], returned=A), Rung.RETURNED_MESSAGE_ID),
        (mdn(head(in_reply_to=[A]), original_message_id=None), Rung.IN_REPLY_TO),
        (mdn(head(references=[B, A]), original_message_id=None), Rung.REFERENCES),
        (dsn(head(), [block("x@y.example")], returned=None, inline=[A]), Rung.INLINE_MESSAGE_ID),
        # Haraka puts the Message-ID into Original-Envelope-Id.
        (dsn(head(), [block("x@y.example")], returned=None, envelope_id=A), Rung.ENVELOPE_ID),
    ],
)
def test_each_rung_finds_the_message(report: Report, rung: Rung) -> None:
    assert rung_of(report, A) == Match(1, rung)


@pytest.mark.parametrize(
    "written",
    ["<a%40mail.example>", "%3Ca@mail.example%3E", "+3Ca+40mail.example+3E", "a@mail.example", " <a@mail.example> "],
)
def test_an_id_that_was_encoded_on_its_way_is_found_as_is_and_decoded(written: str) -> None:
    assert rung_of(mdn(head(), original_message_id=written), A) == Match(1, Rung.ORIGINAL_MESSAGE_ID)


def test_an_id_that_holds_what_looks_encoded_is_found_as_it_is() -> None:
    odd = "<100%25+3Dsure@mail.example>"
    assert rung_of(mdn(head(), original_message_id=odd), odd) == Match(1, Rung.ORIGINAL_MESSAGE_ID)


def test_several_original_ids_of_which_one_is_ours_find_it_and_of_which_two_are_do_not() -> None:
    report = replace(mdn(head(), original_message_id=B), original_message_ids=(B, A))
    assert rung_of(report, A) == Match(1, Rung.ORIGINAL_MESSAGE_ID)
    assert rung_of(report, A, B) == Ambiguous((1, 2))


@pytest.mark.parametrize("cut", ["<a@mail.exampl>", "<a@mail.exam", "a@mail"])
def test_an_id_that_was_cut_finds_nothing(cut: str) -> None:
    assert rung_of(mdn(head(in_reply_to=[A]), original_message_id=cut), A) is None


def test_what_a_message_was_called_before_a_provider_renamed_it_is_a_returned_id() -> None:
    returned = Returned("message/rfc822", "<0102-0@eu-west-1.amazonses.com>", other_message_ids=(A,))
    report = replace(dsn(head(), [block("x@y.example")]), returned=returned)
    assert rung_of(report, A) == Match(1, Rung.RETURNED_MESSAGE_ID)


def test_a_message_is_found_by_what_its_provider_called_it() -> None:
    sent = replace(sent_message(A), other_message_ids=("<0102-0@eu-west-1.amazonses.com>",))
    report = mdn(head(), original_message_id="<0102-0@eu-west-1.amazonses.com>")
    assert choose(lookup_keys(report), dict.fromkeys(keys_of_sent(sent), frozenset({1}))) == Match(
        1, Rung.ORIGINAL_MESSAGE_ID
    )


@pytest.mark.parametrize("written", ["QQ+1=2", "QQ+2B1+3D2"])
def test_an_envelope_id_matches_as_is_and_decoded(written: str) -> None:
    # conformance 56
    report = dsn(head(), [block("x@y.example")], returned=None, envelope_id=written)
    assert rung_of(report, A, envelope_id="QQ+1=2") == Match(1, Rung.ENVELOPE_ID)


def test_a_report_is_never_matched_by_its_own_message_id() -> None:
    # conformance 65
    assert rung_of(mdn(head(A), original_message_id=None), A) is None


def test_a_present_but_unknown_original_message_id_stops_the_ladder() -> None:
    assert rung_of(mdn(head(in_reply_to=[A]), original_message_id=B), A) is None


def test_where_a_provider_replaces_the_message_id_lower_rungs_are_tried() -> None:
    report = mdn(head(in_reply_to=[A]), original_message_id=B)
    assert rung_of(report, A, replaces=True) == Match(1, Rung.IN_REPLY_TO)


def test_strong_rungs_that_name_different_messages_are_ambiguous() -> None:
    assert rung_of(mdn(head(), original_message_id=A, returned=B), A, B) == Ambiguous((1, 2))


def test_a_message_id_used_twice_is_ambiguous() -> None:
    assert rung_of(mdn(head(), original_message_id=A), A, A) == Ambiguous((1, 2))


def test_of_the_references_the_nearest_of_ours_counts() -> None:
    report = mdn(head(references=[A, B, "<other@y.example>"]), original_message_id=None)
    assert rung_of(report, A, B) == Match(2, Rung.REFERENCES)


def test_nothing_known_finds_nothing() -> None:
    assert rung_of(mdn(head(references=[A]), original_message_id=None)) is None
