from __future__ import annotations

import pytest

from mdnwatch.mail.addresses import addresses, first_address


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("a@example.org", ("a@example.org",)),
        ("A B <a@example.org>", ("a@example.org",)),
        ("<a@example.org>, B <b@example.org>,c@example.org", ("a@example.org", "b@example.org", "c@example.org")),
        ('"Doe, John" <a@example.org>, b@example.org', ("a@example.org", "b@example.org")),
        ('"a b"@example.org', ('"a b"@example.org',)),
        ('X <"a,<b>"@example.org>', ('"a,<b>"@example.org',)),
        ("Team: a@example.org, B <b@example.org>;, c@example.org", ("a@example.org", "b@example.org", "c@example.org")),
        ("undisclosed-recipients:;", ()),
        ("a@example.org (a comment, with a comma)", ("a@example.org",)),
        ("<@one.example,@two.example:a@example.org>", ("a@example.org",)),
        ("a @ example . org", ("a@example.org",)),
        ("a@[IPv6:2001:db8::1]", ("a@[IPv6:2001:db8::1]",)),
        ("=?utf-8?q?J=C3=BCrgen?= <j@example.org>", ("j@example.org",)),
        ("bjørn@bücher.example", ("bjørn@bücher.example",)),
        ("Someone", ()),
        ("", ()),
    ],
)
def test_addresses_are_found_in_a_list(field: str, found: tuple[str, ...]) -> None:
    assert addresses(field) == found


def test_the_case_of_a_local_part_is_kept() -> None:
    # conformance 21
    assert addresses("John.DOE@Example.ORG") == ("John.DOE@Example.ORG",)


def test_a_bare_daemon_is_named_as_it_is() -> None:
    assert first_address("MAILER-DAEMON") == "MAILER-DAEMON"
    assert first_address("MAILER-DAEMON <>") is None
    assert first_address(None) is None
