"""What a trusted mail server found of a report's sender, from Authentication-Results fields (RFC 8601).

Only the fields of configured servers are read: anybody can write one. Good news is believed from the topmost field of
the message alone, since a server puts its own on top of what came in (§4.1), bad news from any of theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from mdnwatch.mail.addresses import addresses
from mdnwatch.mail.header import Header
from mdnwatch.model.address import canonical_domain, split
from mdnwatch.model.authenticity import Checks, Dkim, Dmarc

# Fields of real servers have some 600 characters, 20 properties and 10 comments. The library takes a tenth of a
# millisecond for each of them, and whoever forges a field can make up any number.
MAX_FIELD = 4096  # characters
MAX_PIECES = 64
# A message crosses a few servers that write such a field.
MAX_FIELDS = 5

# RFC 8601 §2.3: the properties that name the domain of a signature; Gmail gives only the second one.
_DKIM_DOMAINS = ("d", "i")


def read_results(header: Header, authserv_ids: Collection[str]) -> Checks:
    """What the servers of these authserv-ids (RFC 8601 §2.5, in any case) found of the domain of From. Never raises."""
    senders = authors(header)
    # RFC 7489 §6.6.1: with several authors nobody can say whose domain passed.
    if not authserv_ids or len(senders) != 1:
        return Checks()
    domain = canonical_domain(split(senders[0])[1])
    trusted = {authserv_id.lower() for authserv_id in authserv_ids}
    fields = [_parsed(field) for field in header.all("authentication-results")[:MAX_FIELDS]]
    if any(server in trusted and _dmarc(results, domain, "fail") for server, results in fields):
        return Checks(dmarc=Dmarc.FAIL)
    if not fields or fields[0][0] not in trusted:
        return Checks()
    return _passed(fields[0][1], domain)


def authors(header: Header) -> tuple[str, ...]:
    """Every address in every From field; RFC 5322 §3.6 allows one field, and §3.6.2 several addresses in it."""
    return tuple(address for field in header.all("from") for address in addresses(field))


def _parsed(field: str) -> tuple[str, Sequence[Any]]:
    """The authserv-id, in lower case, and the results of a field; ("", ()) for what RFC 8601 §2.2 does not allow."""
    # The library takes long to load, and few reports need it.
    import authres  # noqa: PLC0415 - the reason above

    if len(field) > MAX_FIELD or any(field.count(sign) > MAX_PIECES for sign in '=("'):
        return "", ()
    try:
        # Leniency: a semicolon at the end, as some filters write it.
        parsed = authres.all_features().parse_value(field.rstrip("; \t"))
    except (authres.AuthResError, RecursionError, ValueError):
        return "", ()
    return str(parsed.authserv_id), [result for result in parsed.results if hasattr(result, "method")]


def _passed(results: Sequence[Any], domain: str) -> Checks:
    passed = [result for result in results if _is(result.result, "pass")]
    dkim = [result for result in passed if _is(result.method, "dkim")]
    # SPF proves which host sent a message, and many domains share one. A DMARC pass may rest on it alone.
    on_spf_alone = not dkim and any(_is(result.method, "spf") for result in passed)
    return Checks(
        dkim=Dkim.PASS if any(_domain(result, *_DKIM_DOMAINS) == domain for result in dkim) else Dkim.NONE,
        dmarc=Dmarc.PASS if _dmarc(results, domain, "pass") and not on_spf_alone else Dmarc.NONE,
    )


def _dmarc(results: Sequence[Any], domain: str, outcome: str) -> bool:
    """Whether some results hold this outcome of DMARC for the domain of From."""
    found = [result for result in results if _is(result.method, "dmarc") and _is(result.result, outcome)]
    return any(_domain(result, "from") == domain for result in found)


def _is(value: Any, word: str) -> bool:  # noqa: ANN401 - the library ships no types
    return str(value).lower() == word


def _domain(result: Any, *names: str) -> str | None:  # noqa: ANN401 - the library ships no types
    """The domain that a result names: by the first of some properties of the header which it has (RFC 8601 §2.2)."""
    found = {str(one.name).lower(): str(one.value) for one in result.properties if _is(one.type, "header")}
    value = next((found[name] for name in names if name in found), None)
    return None if value is None else canonical_domain(value.rpartition("@")[2])
