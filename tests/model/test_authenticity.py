from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product

import pytest
from facts import SENT_AT

from mdnwatch.model.authenticity import REASONS, Checks, Dkim, Dmarc, Grade, Graded, Provenance, Smime, grade
from mdnwatch.model.correlation import Rung
from mdnwatch.model.token import Proof

BOB = "bob@there.example"


def provenance(
    *,
    is_mdn: bool = True,
    from_address: str | None = BOB,
    date: datetime | None = SENT_AT + timedelta(minutes=5),
    reporting_mta: str | None = "mx.relay.example",
    returns_something: bool = True,
    checks: Checks | None = None,
) -> Provenance:
    return Provenance(
        is_mdn, from_address, date, reporting_mta, returns_something=returns_something, checks=checks or Checks()
    )


def graded(
    of: Provenance,
    recipient: str = BOB,
    *,
    addressed: bool = True,
    rung: Rung = Rung.ORIGINAL_MESSAGE_ID,
    own_mtas: Collection[str] = (),
) -> Graded:
    return grade(of, SENT_AT, recipient, addressed=addressed, rung=rung, own_mtas=own_mtas)


@pytest.mark.parametrize(
    ("given", "expected", "reasons"),
    [
        (provenance(), Grade.CONSISTENT, ()),
        (provenance(from_address="Bob+offers@There.example"), Grade.CONSISTENT, ()),
        (provenance(from_address="postmaster@mx.there.example"), Grade.CONSISTENT, ()),
        (provenance(from_address="carol@there.example"), Grade.DOUBTFUL, ("same-domain-sender",)),
        (provenance(from_address="mallory@evil.example"), Grade.DOUBTFUL, ("foreign-sender",)),
        (provenance(from_address=None), Grade.DOUBTFUL, ("foreign-sender",)),
        (provenance(date=SENT_AT - timedelta(hours=1)), Grade.DOUBTFUL, ("before-message",)),
        (provenance(date=SENT_AT - timedelta(hours=24)), Grade.DOUBTFUL, ("before-message",)),
        (provenance(date=SENT_AT - timedelta(hours=25)), Grade.CONTRADICTED, ("long-before-message",)),
        (provenance(date=None), Grade.CONSISTENT, ()),
        (provenance(is_mdn=False, from_address="mailer-daemon@relay.example"), Grade.CONSISTENT, ()),
        (
            provenance(is_mdn=False, reporting_mta=None, returns_something=False),
            Grade.DOUBTFUL,
            ("nothing-to-judge-by",),
        ),
    ],
)
def test_what_speaks_against_a_report_gives_its_grade(
    given: Provenance, expected: Grade, reasons: tuple[str, ...]
) -> None:
    assert graded(given) == Graded(expected, reasons)


@pytest.mark.parametrize(
    ("checks", "expected", "by", "reasons"),
    [
        (Checks(dmarc=Dmarc.PASS), Grade.AUTHENTICATED, "dmarc", ("dmarc-pass",)),
        (Checks(dkim=Dkim.PASS), Grade.AUTHENTICATED, "dkim", ("dkim-pass",)),
        (Checks(Dkim.PASS, Dmarc.PASS), Grade.AUTHENTICATED, "dmarc", ("dmarc-pass", "dkim-pass")),
        (Checks(smime=Smime.VALID, smime_addresses=(BOB,)), Grade.AUTHENTICATED, "smime", ("smime-valid",)),
        (Checks(smime=Smime.VALID, smime_addresses=("carol@there.example",)), Grade.CONSISTENT, None, ("smime-other",)),
        (Checks(smime=Smime.UNTRUSTED), Grade.CONSISTENT, None, ("smime-untrusted",)),
        (Checks(smime=Smime.NOT_VERIFIED), Grade.CONSISTENT, None, ("smime-not-verified",)),
        (Checks(smime=Smime.INVALID), Grade.CONTRADICTED, None, ("smime-invalid",)),
        (Checks(dmarc=Dmarc.FAIL), Grade.DOUBTFUL, None, ("dmarc-failed",)),
        # RFC 6376 §6.3: no contradiction.
        (Checks(dkim=Dkim.BROKEN), Grade.DOUBTFUL, None, ("dkim-broken",)),
        (Checks(dkim=Dkim.NO_ANSWER), Grade.CONSISTENT, None, ("dkim-no-answer",)),
        (Checks(dkim=Dkim.CUT), Grade.CONSISTENT, None, ("dkim-cut",)),
    ],
)
def test_what_was_checked_of_the_recipients_own_report_gives_its_grade(
    checks: Checks, expected: Grade, by: str | None, reasons: tuple[str, ...]
) -> None:
    found = graded(provenance(checks=checks))
    assert (found.grade, found.by, found.reasons) == (expected, by, reasons)


@pytest.mark.parametrize("sender", ["carol@there.example", "mallory@evil.example", "postmaster@there.example"])
def test_a_domain_vouches_only_for_the_report_of_the_recipient_himself(sender: str) -> None:
    found = graded(provenance(from_address=sender, checks=Checks(Dkim.PASS, Dmarc.PASS)))
    assert found.grade is not Grade.AUTHENTICATED
    assert found.by is None


def test_the_recipients_signature_needs_no_from_of_his() -> None:
    signed = Checks(smime=Smime.VALID, smime_addresses=("Bob@there.example",))
    assert graded(provenance(from_address="bob@mobile.example", checks=signed)).by == "smime"


def test_a_signature_that_does_not_cover_what_names_the_message_proves_nothing() -> None:
    signed = provenance(checks=Checks(smime=Smime.VALID, smime_addresses=(BOB,)))
    assert graded(signed, rung=Rung.IN_REPLY_TO).grade is Grade.CONSISTENT


@pytest.mark.parametrize("doubt", ["before-message", "not-addressed"])
def test_what_is_proved_of_the_sender_removes_no_doubt_of_another_kind(doubt: str) -> None:
    of = provenance(checks=Checks(dkim=Dkim.PASS))
    if doubt == "before-message":
        of = replace(of, date=SENT_AT - timedelta(hours=1))
    found = graded(of, addressed=doubt != "not-addressed")
    assert (found.grade, found.reasons) == (Grade.DOUBTFUL, ("dkim-pass", doubt))


@pytest.mark.parametrize(
    ("mta", "returns_something", "expected"),
    [
        ("mx1.mail.example", False, Grade.CONSISTENT),  # ours
        ("MAIL.example", False, Grade.CONSISTENT),
        ("mx.there.example", False, Grade.CONSISTENT),  # the recipient's
        ("relay.example", True, Grade.CONSISTENT),  # whoever returns it had it
        ("relay.example", False, Grade.DOUBTFUL),
        ("notmail.example", False, Grade.DOUBTFUL),
    ],
)
def test_a_delivery_report_is_judged_by_its_mta_and_what_it_returns(
    mta: str,
    returns_something: bool,  # noqa: FBT001 - a column of the table
    expected: Grade,
) -> None:
    of = provenance(is_mdn=False, reporting_mta=mta, returns_something=returns_something)
    assert graded(of, own_mtas=("mail.example",)).grade is expected


@pytest.mark.parametrize(
    ("given", "proof", "expected", "reasons"),
    [
        (provenance(), Proof.OWN, Grade.AUTHENTICATED, ("token",)),
        (provenance(from_address="assistant@else.example"), Proof.OWN, Grade.AUTHENTICATED, ("token",)),
        (
            provenance(is_mdn=False, reporting_mta=None, returns_something=False),
            Proof.OWN,
            Grade.AUTHENTICATED,
            ("token",),
        ),
        (provenance(date=SENT_AT - timedelta(hours=1)), Proof.OWN, Grade.DOUBTFUL, ("token", "before-message")),
        (provenance(), Proof.SHARED, Grade.CONSISTENT, ("shared-token",)),
        (
            provenance(from_address="mallory@evil.example"),
            Proof.SHARED,
            Grade.DOUBTFUL,
            ("shared-token", "foreign-sender"),
        ),
        (provenance(), Proof.OTHER, Grade.CONTRADICTED, ("other-token",)),
        (replace(provenance(), wrong_token=True), Proof.OWN, Grade.CONTRADICTED, ("token", "wrong-token")),
    ],
)
def test_a_token_is_for_or_against_a_report(
    given: Provenance, proof: Proof, expected: Grade, reasons: tuple[str, ...]
) -> None:
    found = grade(given, SENT_AT, BOB, addressed=True, proof=proof)
    assert found == Graded(expected, reasons)
    assert found.by == ("token" if expected is Grade.AUTHENTICATED else None)


def test_an_address_never_written_to_is_doubtful() -> None:
    assert graded(provenance(), addressed=False).reasons == ("not-addressed",)


def test_an_unknown_date_of_the_message_speaks_against_nothing() -> None:
    old = provenance(date=SENT_AT - timedelta(days=99))
    assert grade(old, None, BOB, addressed=True).grade is Grade.CONSISTENT


def test_what_two_places_found_is_the_same_in_any_order_and_a_proof_stays_one() -> None:
    found = [Checks(*one, ()) for one in product(Dkim, Dmarc, Smime)]
    for one, other in product(found, found):
        assert one.united(other) == other.united(one)
        assert one.united(other).united(one) == one.united(other)
        assert (one.united(other).dkim is Dkim.PASS) == (Dkim.PASS in {one.dkim, other.dkim})


def test_whoever_sends_a_report_again_with_a_bad_signature_does_not_make_it_suspicious() -> None:
    assert Checks().united(Checks(smime=Smime.INVALID)) == Checks()


def test_grades_are_ordered() -> None:
    assert Grade.AUTHENTICATED.at_least(Grade.DOUBTFUL)
    assert not Grade.CONTRADICTED.at_least(Grade.DOUBTFUL)


def test_reasons_settle_only_what_exists() -> None:
    assert all(reason.settles <= set(REASONS) for reason in REASONS.values())
