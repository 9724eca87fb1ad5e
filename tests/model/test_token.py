from __future__ import annotations

from dataclasses import replace

import pytest
from facts import block, dsn, head, mdn

from mdnwatch.model.correlation import LookupKey, Rung, lookup_keys
from mdnwatch.model.report import Report, Returned
from mdnwatch.model.token import (
    MAX_LOCAL_PART,
    NONCE_BYTES,
    TOKEN_LENGTH,
    Proof,
    Spot,
    bears_wrong,
    genuine,
    identity,
    make,
    proof,
    token_key,
)

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
KEYS = {"abcd": KEY, "efgh": OTHER_KEY}
STAMP = identity("abcd", b"0123456789"[:NONCE_BYTES])
IN_ID, IN_ENVELOPE, IN_ADDRESS = (make(STAMP, spot, KEY) for spot in Spot)
BOB = "bob@there.example"


def of(report: Report, *, to: str = "", delivered_to: str = "", return_path: str | None = None) -> Report:
    there = replace(report.head, to_addresses=(to,) if to else (), delivered_to=(delivered_to,) if delivered_to else ())
    returned = Returned("message/rfc822", return_path=return_path) if return_path else report.returned
    return replace(report, head=there, returned=returned)


def unnamed() -> Report:
    return dsn(head(), [block(BOB)], returned=None)


def test_a_token_is_lower_case_and_fits_in_a_local_part() -> None:
    assert len(IN_ADDRESS) == TOKEN_LENGTH == 36
    assert IN_ADDRESS.lower() == IN_ADDRESS
    assert len(f"abcdefghijklmnopqrstuvwxyz1+{IN_ADDRESS}") == MAX_LOCAL_PART


@pytest.mark.parametrize(
    "report",
    [
        dsn(head(), [block(BOB)], returned=None, envelope_id=IN_ENVELOPE),
        dsn(head(), [block(BOB)], returned=None, envelope_id=f"+{ord(IN_ENVELOPE[0]):02X}{IN_ENVELOPE[1:]}".upper()),
        # Haraka puts the Message-ID there.
        dsn(head(), [block(BOB)], returned=None, envelope_id=f"<{IN_ID}@mail.example>"),
        mdn(head(), original_message_id=f"<{IN_ID}@mail.example>"),
        mdn(head(), original_message_id=f"<{IN_ID.upper()}@MAIL.EXAMPLE>"),
        dsn(head(), [block(BOB)], returned=f"<{IN_ID}@mail.example>"),
        mdn(head(in_reply_to=[f"<{IN_ID}@mail.example>"]), original_message_id=None),
        of(unnamed(), to=f"alice+{IN_ADDRESS}@mail.example"),
        of(unnamed(), delivered_to=f"{IN_ADDRESS}@bounces.mail.example"),
        of(unnamed(), return_path=f"alice+{IN_ADDRESS}@mail.example"),
    ],
)
def test_a_token_is_found_wherever_reports_carry_it(report: Report) -> None:
    assert genuine(report, KEYS) == (STAMP,)
    assert not bears_wrong(report, KEYS)
    assert lookup_keys(report, KEYS)[0] == LookupKey(Rung.TOKEN, token_key(STAMP))


@pytest.mark.parametrize(
    "token",
    [
        IN_ADDRESS,  # where another belongs: who has seen one cannot make the others
        IN_ENVELOPE,
        make(STAMP, Spot.MESSAGE_ID, OTHER_KEY),
        make(identity("abcd", b"another one"[:NONCE_BYTES]), Spot.MESSAGE_ID, OTHER_KEY),
        IN_ID[:-1] + ("a" if IN_ID[-1] != "a" else "b"),
    ],
)
def test_a_token_that_was_not_made_for_its_spot_is_wrong(token: str) -> None:
    report = mdn(head(), original_message_id=f"<{token}@mail.example>")
    assert bears_wrong(report, KEYS)
    assert genuine(report, KEYS) == ()


@pytest.mark.parametrize(
    "local", [IN_ID.replace("abcd", "zzzz", 1), IN_ID[:-1], f"{IN_ID}a", "0" * 36, "20261123090000.4711"]
)
def test_what_only_resembles_a_token_is_somebody_elses(local: str) -> None:
    report = mdn(head(references=[f"<{IN_ADDRESS}@x.example>"]), original_message_id=f"<{local}@mail.example>")
    assert not bears_wrong(report, KEYS)
    assert genuine(report, KEYS) == ()


def test_without_keys_there_are_no_tokens() -> None:
    report = mdn(head(), original_message_id=f"<{IN_ADDRESS}@mail.example>")
    assert not bears_wrong(report, {})


@pytest.mark.parametrize(
    ("made_for", "addressed", "expected"),
    [
        ({"Bob@there.example"}, True, Proof.OTHER),  # another mailbox, as far as the standard goes
        ({"bob@THERE.example"}, True, Proof.OWN),
        ({None, "bob@there.example"}, True, Proof.OWN),
        ({None}, True, Proof.SHARED),
        ({"carol@there.example"}, True, Proof.OTHER),
        ({"carol@there.example", "bob@there.example"}, True, Proof.OTHER),
        # The copy was passed on to whoever tells of it.
        ({"carol@there.example"}, False, Proof.NONE),
        (set(), True, Proof.NONE),
    ],
)
def test_what_tokens_prove_of_a_recipient(made_for: set[str | None], addressed: bool, expected: Proof) -> None:  # noqa: FBT001 - a parameter of the table
    assert proof(made_for, BOB, addressed=addressed) is expected
