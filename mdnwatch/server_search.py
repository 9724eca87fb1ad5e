"""Where the IMAP server of a domain may be: its SRV records (RFC 6186), then the names that most servers have."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import dns.exception
import dns.name
import dns.resolver
from dns.rdtypes.IN.SRV import SRV

Tls = Literal["implicit", "starttls"]

# RFC 8314 §3.2 and §4.1: TLS from the first byte is preferred.
SERVICES: tuple[tuple[str, Tls], ...] = (("_imaps._tcp", "implicit"), ("_imap._tcp", "starttls"))
PORTS: tuple[tuple[int, Tls], ...] = ((993, "implicit"), (143, "starttls"))
WELL_KNOWN = ("imap", "mail")

# Seconds for one question, all servers of the resolver included; somebody sits and waits.
PATIENCE = 5.0

# A domain that names more servers than this is not meant to be tried out.
MAX_RECORDS = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that may hold the mailbox.

    `how` says how it was found. `foreign`: an SRV record names a server outside of the domain, and nothing vouches
    for the record.
    """

    host: str
    port: int
    tls: Tls
    how: str
    foreign: bool = False


def resolver(address: str | None = None) -> dns.resolver.Resolver:
    """The system's resolver, or the one at an IP address, with ":" and a port if that is not 53. Raises ValueError."""
    if address is None:
        try:
            found = dns.resolver.Resolver()
        except dns.exception.DNSException:
            # No /etc/resolv.conf: names are not looked up, and the servers' names are tried all the same.
            found = dns.resolver.Resolver(configure=False)
    else:
        found = dns.resolver.Resolver(configure=False)
        host, _, port = address.rpartition(":") if address.count(":") == 1 else (address, "", "53")
        found.nameservers = [str(ipaddress.ip_address(host))]
        found.port = int(port)
    found.lifetime = PATIENCE
    return found


def candidates(domain: str, at: dns.resolver.Resolver) -> tuple[Candidate, ...]:
    """The servers to try, the likeliest first; none where the domain says that it has no IMAP (RFC 6186 §3.4).

    Blocks.
    """
    domain = domain.rstrip(".")
    found: list[Candidate] = []
    denied = 0
    for service, tls in SERVICES:
        records = _records(f"{service}.{domain}", at)
        # RFC 2782: a target of "." says that the service is decidedly not available.
        denied += any(record.target == dns.name.root for record in records)
        found += _of_records(records, domain, tls, f"SRV record {service}.{domain}")
    if denied and not found:
        return ()
    return (*found, *_well_known(domain))


def _records(name: str, at: dns.resolver.Resolver) -> list[SRV]:
    """The records of a name, in the order in which they are to be tried; none where there are none or no answer."""
    try:
        answer = at.resolve(name, "SRV", search=False)
    except dns.exception.DNSException:
        # Without an answer the well-known names are still worth a try.
        return []
    records = [record for record in answer if isinstance(record, SRV)]
    return sorted(records, key=lambda record: (record.priority, -record.weight))[:MAX_RECORDS]


def _of_records(records: list[SRV], domain: str, tls: Tls, how: str) -> Iterator[Candidate]:
    for record in records:
        host = record.target.to_text(omit_final_dot=True)
        if record.target != dns.name.root:
            yield Candidate(host, record.port, tls, how, foreign=not _is_within(host, domain))


def _is_within(host: str, domain: str) -> bool:
    host, domain = host.lower(), domain.lower()
    return host == domain or host.endswith("." + domain)


def _well_known(domain: str) -> Iterator[Candidate]:
    for port, tls in PORTS:
        for name in WELL_KNOWN:
            yield Candidate(f"{name}.{domain}", port, tls, "well-known name")
