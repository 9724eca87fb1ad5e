from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from facts import SENT_AT

from mdnwatch.model.authenticity import Grade, Provenance, grade

BOB = "bob@there.example"


def provenance(
    *,
    is_mdn: bool = True,
    from_address: str | None = BOB,
    date: datetime | None = SENT_AT + timedelta(minutes=5),
    judged_by: bool = True,
) -> Provenance:
    return Provenance(is_mdn, from_address, date, has_reporting_mta=judged_by, returns_something=judged_by)


@pytest.mark.parametrize(
    ("given", "expected", "reasons"),
    [
        (provenance(), Grade.CONSISTENT, ()),
        (provenance(from_address="postmaster@mx.there.example"), Grade.CONSISTENT, ()),
        (provenance(from_address="mallory@evil.example"), Grade.DOUBTFUL, ("foreign-sender",)),
        (provenance(from_address=None), Grade.DOUBTFUL, ("foreign-sender",)),
        (provenance(date=SENT_AT - timedelta(hours=1)), Grade.DOUBTFUL, ("before-message",)),
        (provenance(date=SENT_AT - timedelta(hours=24)), Grade.DOUBTFUL, ("before-message",)),
        (provenance(date=SENT_AT - timedelta(hours=25)), Grade.CONTRADICTED, ("long-before-message",)),
        (provenance(date=None), Grade.CONSISTENT, ()),
        (provenance(is_mdn=False, from_address="mailer-daemon@relay.example"), Grade.CONSISTENT, ()),
        (provenance(is_mdn=False, judged_by=False), Grade.DOUBTFUL, ("nothing-to-judge-by",)),
    ],
)
def test_what_speaks_against_a_report_gives_its_grade(
    given: Provenance, expected: Grade, reasons: tuple[str, ...]
) -> None:
    graded = grade(given, SENT_AT, BOB, addressed=True)
    assert (graded.grade, graded.reasons) == (expected, reasons)


def test_an_address_never_written_to_is_doubtful() -> None:
    assert grade(provenance(), SENT_AT, BOB, addressed=False).reasons == ("not-addressed",)


def test_an_unknown_date_of_the_message_speaks_against_nothing() -> None:
    assert grade(provenance(date=SENT_AT - timedelta(days=99)), None, BOB, addressed=True).grade is Grade.CONSISTENT


def test_grades_are_ordered() -> None:
    assert Grade.AUTHENTICATED.at_least(Grade.DOUBTFUL)
    assert not Grade.CONTRADICTED.at_least(Grade.DOUBTFUL)
