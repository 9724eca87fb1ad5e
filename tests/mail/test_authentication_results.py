from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.mail import mime
from mdnwatch.mail.authentication_results import MAX_FIELD, read_results
from mdnwatch.model.authenticity import Checks, Dkim, Dmarc

OURS = ["mx.mail.example"]
GMAIL = (
    "mx.google.com;\n       dkim=pass header.i=@there.example header.s=20230601 header.b=Vxa7fRZh;\n"
    "       spf=pass (google.com: domain of bob@there.example designates 192.0.2.7 as permitted sender)"
    " smtp.mailfrom=bob@there.example;\n       dmarc=pass (p=QUARANTINE sp=QUARANTINE dis=NONE)"
    " header.from=there.example;\n       dara=pass header.i=@gmail.com"
)
PASS = Checks(Dkim.PASS, Dmarc.PASS)


def read(*fields: str, sender: str = "Bob <bob@there.example>", trusted: list[str] = OURS) -> Checks:
    lines = [f"Authentication-Results: {field}" for field in fields]
    data = "\n".join([*lines, f"From: {sender}", "", "text"]).encode()
    return read_results(mime.read_header(data, 0, len(data)), trusted)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("mx.mail.example; dkim=pass header.d=there.example; dmarc=pass header.from=there.example", PASS),
        ("MX.mail.example 1; DKIM=Pass (2048 bit (ok)) header.d=There.Example", Checks(dkim=Dkim.PASS)),
        ("mx.mail.example; dkim=pass header.i=@there.example", Checks(dkim=Dkim.PASS)),
        ("mx.mail.example; dkim=fail header.d=there.example; dkim=pass header.d=list.example", Checks()),
        ("mx.mail.example; dkim=pass header.d=example", Checks()),
        # The organisation's domain: whose it is, the server's DMARC knows.
        ("mx.mail.example; dkim=pass header.d=mail.there.example", Checks()),
        ("mx.mail.example; dmarc=pass (p=none dis=none) header.from=there.example", Checks(dmarc=Dmarc.PASS)),
        ("mx.mail.example; dmarc=pass header.from=elsewhere.example", Checks()),
        ("mx.mail.example; dmarc=fail (p=none) header.from=there.example", Checks(dmarc=Dmarc.FAIL)),
        ("mx.mail.example; dmarc=none header.from=there.example", Checks()),
        # SPF alone never counts, even where DMARC makes do with it.
        ("mx.mail.example; spf=pass smtp.mailfrom=there.example", Checks()),
        ("mx.mail.example; spf=pass smtp.mailfrom=there.example; dmarc=pass header.from=there.example", Checks()),
        ("mx.mail.example; none", Checks()),
        ("mx.mail.example; dkim=pass header.d=there.example;", Checks(dkim=Dkim.PASS)),
        # Damage.
        ("", Checks()),
        (";;;", Checks()),
        ("mx.mail.example; dkim=pass header.d=there.example; garbage", Checks()),
        ("mx.mail.example; dkim=pass (" + "(" * 3000, Checks()),
        ("mx.mail.example; dkim=pass header.d=there.example" + " " * MAX_FIELD + "x", Checks()),
        # Exchange Online writes no authserv-id.
        ("spf=pass smtp.mailfrom=there.example; dkim=pass header.d=there.example", Checks()),
        ("mx.mail.example 2; dkim=pass header.d=there.example", Checks()),
    ],
)
def test_what_a_trusted_server_found(field: str, expected: Checks) -> None:
    assert read(field) == expected


def test_gmail_names_the_domain_of_a_signature_by_its_identity() -> None:
    assert read(GMAIL, trusted=["mx.google.com"]) == PASS


FORGED = "mx.mail.example; dkim=pass header.d=there.example; dmarc=pass header.from=there.example"
REAL_FAIL = "mx.mail.example; dkim=none; dmarc=fail header.from=there.example"
REAL_NONE = "mx.mail.example; dkim=none; spf=none"
FOREIGN = "mx.evil.example; dkim=pass header.d=there.example; dmarc=pass header.from=there.example"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((REAL_NONE, FORGED), Checks()),  # forged below
        ((REAL_FAIL, FORGED), Checks(dmarc=Dmarc.FAIL)),
        ((FORGED, REAL_FAIL), Checks(dmarc=Dmarc.FAIL)),  # forged above
        ((FOREIGN,), Checks()),
        ((FOREIGN, FORGED), Checks()),  # only the topmost of all
        ((REAL_NONE, FOREIGN), Checks()),
        ((FORGED,) * 20, PASS),
        ((FORGED + ";a=b" * 70,), Checks()),
    ],
)
def test_forged_fields_above_and_below_the_real_one_prove_nothing(fields: tuple[str, ...], expected: Checks) -> None:
    assert read(*fields) == expected


@pytest.mark.parametrize(
    "sender", ["bob@there.example, mallory@evil.example", "bob@there.example\nFrom: mallory@evil.example", "nobody"]
)
def test_with_several_authors_or_none_nothing_is_proved(sender: str) -> None:
    assert read(FORGED, sender=sender) == Checks()


def test_without_configured_servers_nothing_is_believed() -> None:
    assert read(FORGED, trusted=[]) == Checks()


PIECES = [*'m.;=()"\\/@ \t1', "dkim=pass ", "header.d=", "mx.mail.example;"]


@given(st.lists(st.sampled_from(PIECES)))
def test_no_field_makes_the_reader_fail(pieces: list[str]) -> None:
    read("".join(pieces))
