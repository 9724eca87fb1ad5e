"""The servers of a domain, asked of a real DNS server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from servers.dns_server import dns_server

from mdnwatch import server_search
from mdnwatch.server_search import Candidate, candidates

IMAPS, IMAP = "_imaps._tcp.example.org", "_imap._tcp.example.org"
WELL_KNOWN = (
    Candidate("imap.example.org", 993, "implicit", "well-known name"),
    Candidate("mail.example.org", 993, "implicit", "well-known name"),
    Candidate("imap.example.org", 143, "starttls", "well-known name"),
    Candidate("mail.example.org", 143, "starttls", "well-known name"),
)


def found(domain: str = "example.org", **records: Sequence[str]) -> tuple[Candidate, ...]:
    named = {f"_{service}._tcp.example.org": lines for service, lines in records.items()}
    with dns_server(named) as server:
        return candidates(domain, server_search.resolver(server.address))


def srv(host: str, port: int = 993, *, foreign: bool = False) -> Candidate:
    return Candidate(host, port, "implicit", f"SRV record {IMAPS}", foreign)


def test_without_records_the_names_that_most_servers_have_are_tried() -> None:
    assert found() == WELL_KNOWN
    assert found(imaps=()) == WELL_KNOWN


def test_a_record_comes_before_the_well_known_names_and_tls_before_starttls() -> None:
    starttls = replace(srv("mx.example.org", 1143), tls="starttls", how=f"SRV record {IMAP}")
    assert found(imap=["0 1 1143 mx.example.org."], imaps=["0 1 1993 mx.example.org."]) == (
        srv("mx.example.org", 1993),
        starttls,
        *WELL_KNOWN,
    )


def test_the_lowest_priority_is_tried_first_and_then_the_highest_weight() -> None:
    records = ["20 9 993 c.example.org.", "10 1 993 b.example.org.", "10 5 993 a.example.org."]
    assert [one.host for one in found(imaps=records)[:3]] == ["a.example.org", "b.example.org", "c.example.org"]


@pytest.mark.parametrize(
    ("target", "foreign"),
    [
        ("example.org", False),
        ("IMAP.Example.ORG", False),
        ("imap.provider.net", True),
        ("example.org.evil.net", True),
        ("notexample.org", True),
    ],
)
def test_a_server_outside_of_the_domain_is_marked(target: str, foreign: bool) -> None:  # noqa: FBT001 - a table
    assert found(imaps=[f"0 1 993 {target}."])[0] == srv(target, foreign=foreign)


def test_a_service_that_is_denied_is_not_guessed_at() -> None:
    assert found(imap=["0 0 0 ."], imaps=["0 0 0 ."]) == ()
    assert found(imap=["0 0 0 ."], imaps=["0 1 993 mx.example.org."])[0] == srv("mx.example.org")


def test_a_domain_may_be_written_with_its_full_stop_or_in_unicode() -> None:
    assert found("example.org.") == WELL_KNOWN
    with dns_server({}) as server:
        candidates("bücher.example", server_search.resolver(server.address))
        assert server.asked == ["_imaps._tcp.xn--bcher-kva.example", "_imap._tcp.xn--bcher-kva.example"]


@pytest.mark.parametrize("domain", ["", "a..b", "x" * 64 + ".example"])
def test_what_is_no_domain_raises_nothing(domain: str) -> None:
    assert len(found(domain)) == 4


def test_a_dns_server_that_does_not_answer_costs_seconds_and_not_the_search() -> None:
    with dns_server({}, silent=True) as server:
        at = server_search.resolver(server.address)
        at.lifetime = 0.2
        assert candidates("example.org", at) == WELL_KNOWN


@pytest.mark.parametrize("address", ["dns.example.org", "127.0.0.1:x", ""])
def test_a_resolver_is_named_by_its_address(address: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller says what is wrong
        server_search.resolver(address)
    assert server_search.resolver("::1").nameservers == ["::1"]
