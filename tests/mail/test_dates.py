from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mdnwatch.mail.dates import parse_date

EXPECTED = datetime(2026, 3, 3, 10, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Tue, 03 Mar 2026 10:00:01 +0000",
        "Tue, 03 Mar 2026 10:00:01 GMT",
        "3 Mar 2026 12:00:01 +0200 (CEST)",
        "Tue, 03 Mar 2026 05:00:01 EST",
        "Tue, 3 March 2026 10.00.01 UT",
        "Tue, 03 Mar 26 10:00:01 -0000",
        "tue, 03 mar 2026 10:00:01 Z",
        # RFC 5322 §4.3: an unknown zone is -0000.
        "Tue, 03 Mar 2026 10:00:01 XYZ",
        # GNU mailutils
        "Tue, Mar 03 10:00:01 2026 UTC",
        "Tue, Mar  3 10:00:01 2026 +0000",
    ],
)
def test_a_date_is_read_however_it_is_written(text: str) -> None:
    found = parse_date(text)
    assert found == EXPECTED
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "32 Mar 2026 10:00:00 +0000",
        "3 Xyz 2026 10:00:00 +0000",
        "1 Jan 0001 00:00:00 +1400",
        "9" * 5000,
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


def test_a_leap_second_is_a_time() -> None:
    assert parse_date("Sat, 31 Dec 2016 23:59:60 +0000") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_years_of_two_and_three_digits_count_as_rfc_5322_says() -> None:
    assert [parse_date(f"1 Jan {year} 00:00 +0000") for year in ("49", "50", "126")] == [
        datetime(2049, 1, 1, tzinfo=UTC),
        datetime(1950, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
    ]
