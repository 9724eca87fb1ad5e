"""DKIM signatures of a report (RFC 6376), verified with dkimpy; the only module that knows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

import dns.asyncresolver
import dns.exception
import dns.resolver

from mdnwatch.model.address import canonical_domain
from mdnwatch.model.authenticity import Dkim

P = ParamSpec("P")
T = TypeVar("T")

# The TXT record of a name, its strings joined; None where there is none. Raises NoAnswerError.
LookUp = Callable[[str], Awaitable[bytes | None]]

# Seconds for one question, all servers of the resolver included.
DNS_SECONDS = 5.0

# What is remembered: an answer as long as it says itself, at most so many; a domain that gave none so long.
MAX_ANSWERS = 1000
MAX_SILENT = 1000
SILENT_SECONDS = 60.0

# Up to this size a message is verified on the loop.
ON_LOOP_BYTES = 64 * 1024

# Mail bears one or two of its own domain, each of which costs a question and a hash of the whole message, and some of
# those who passed it on.
MAX_SIGNATURES = 4
MAX_FIELDS = 20

# What the signature has to cover where it stands there: who says it, when, and about which message.
_MUST_COVER = (b"from", b"date", b"in-reply-to", b"references")

# dkimpy tells of each signature that does not verify; here the result says so.
_quiet = logging.getLogger("mdnwatch.dkim")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class NoAnswerError(Exception):
    """The DNS gave no answer that would say whether there is a record."""


class _Candidate(NamedTuple):
    """A signature of the domain, ready to be verified."""

    position: int
    key_name: str


async def verify(data: bytes, domain: str, look_up: LookUp) -> Dkim:
    """What the signatures by this very domain (canonical) prove of a whole message. Never raises.

    One that verifies is enough (RFC 6376 §6.1). What cannot be used, as a signature with too weak a key, or that does
    not cover all of the message, counts as none.
    """
    result = Dkim.NONE
    for candidate in await _worked(data, candidates, data, domain):
        try:
            record = await look_up(candidate.key_name)
        except NoAnswerError:
            outcome = Dkim.NO_ANSWER
        else:
            outcome = Dkim.NONE if record is None else await _worked(data, _verify, data, candidate, record)
        result = max(result, outcome, key=list(Dkim).index)
        if result is Dkim.PASS:
            break
    return result


async def _worked(data: bytes, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What work on a message gives; work on a large one, of some 50 ms for a megabyte, leaves the loop to others."""
    if len(data) > ON_LOOP_BYTES:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)


def candidates(data: bytes, domain: str) -> list[_Candidate]:
    """The signatures of a message that are by the domain and cover what they must. Never raises."""
    message = _message(data)
    if message is None:
        return []
    names = {name.lower() for name, _ in message.headers}
    count = sum(name.lower() == b"dkim-signature" for name, _ in message.headers)
    found = (_candidate(message, index, domain, names) for index in range(min(count, MAX_FIELDS)))
    return [candidate for candidate in found if candidate is not None][:MAX_SIGNATURES]


def _message(data: bytes) -> Any:  # noqa: ANN401 - the library ships no types
    import dkim  # noqa: PLC0415 - it takes long to load, and few accounts ask for it

    try:
        return dkim.DKIM(data, logger=_quiet)
    except (dkim.DKIMException, IndexError):
        return None


def _candidate(message: Any, index: int, domain: str, names: set[bytes]) -> _Candidate | None:  # noqa: ANN401 - as above
    import dkim  # noqa: PLC0415 - as above

    try:
        # RFC 6376 §6.1.1: what is missing, malformed or expired is ignored.
        tags, covered, _ = message.verify_headerprep(index)
        signer, selector = tags[b"d"].decode("ascii"), tags[b"s"].decode("ascii")
    except (dkim.DKIMException, ValueError, KeyError, IndexError, TypeError):
        return None
    # RFC 8301 §3.1: rsa-sha1 must not be trusted. RFC 6376 §8.2: with l= anything can be added to the body.
    usable = tags.get(b"a") != b"rsa-sha1" and b"l" not in tags
    covers = all(name in covered for name in _MUST_COVER if name in names)
    if not usable or not covers or canonical_domain(signer) != domain:
        return None
    return _Candidate(index, f"{selector}._domainkey.{signer}")


def _verify(data: bytes, candidate: _Candidate, record: bytes) -> Dkim:
    """What one signature proves, given the TXT record of its key."""
    import dkim  # noqa: PLC0415 - as above

    message = _message(data)
    try:
        key = dkim.evaluate_pk(candidate.key_name.encode(), record)[0]
        tags, covered, signatures = message.verify_headerprep(candidate.position)
        if key is None or _is_test(record):
            return Dkim.NONE
    except Exception:  # noqa: BLE001 - whatever the library stumbles over, this key can prove nothing
        return Dkim.NONE
    try:
        fits = message.verify_sig(tags, covered, signatures[candidate.position], lambda _name, timeout: record)  # noqa: ARG005 - dkimpy's own name
    except dkim.ValidationError:
        # The body does not have the hash that was signed.
        return Dkim.BROKEN
    except Exception:  # noqa: BLE001 - a key that is too small, or a signature that cannot be read, proves nothing
        return Dkim.NONE
    return Dkim.PASS if fits else Dkim.BROKEN


def _is_test(record: bytes) -> bool:
    """RFC 6376 §3.6.1: with t=y a message is to be treated as one without signature."""
    from dkim.util import parse_tag_value  # noqa: PLC0415 - as above

    flags = parse_tag_value(record).get(b"t", b"")
    return b"y" in [flag.strip() for flag in flags.split(b":")]


class Dns:
    """The system's resolver, or another one, with a memory of answers, and of domains that gave none."""

    def __init__(self, at: dns.asyncresolver.Resolver | None = None) -> None:
        self._given = self._resolver = at
        self._silent: dict[str, float] = {}

    async def txt_record(self, name: str) -> bytes | None:
        """The TXT record of a name, its strings joined; None where there is none. Raises NoAnswerError.

        Whoever floods a mailbox may own a domain that never answers: it is asked again after a while only.
        """
        now, domain = asyncio.get_running_loop().time(), name.partition("._domainkey.")[2]
        if self._silent.get(domain, now) > now:
            raise NoAnswerError(name)
        try:
            answer = await self._asked().resolve(name, "TXT", search=False, lifetime=DNS_SECONDS)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None
        except (dns.exception.DNSException, OSError, UnicodeError):
            # The machine may have other name servers by now.
            self._resolver = self._given
            self._silent = {known: until for known, until in self._silent.items() if until > now}
            if len(self._silent) < MAX_SILENT:
                self._silent[domain] = now + SILENT_SECONDS
            raise NoAnswerError(name) from None
        # RFC 6376 §3.6.2.2: several records are undefined; the first is taken.
        return next((b"".join(record.strings) for record in answer), None)

    def _asked(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver()
        if self._resolver.cache is None:
            self._resolver.cache = dns.resolver.LRUCache(MAX_ANSWERS)
        return self._resolver
