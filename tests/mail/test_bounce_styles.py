"""The reader beyond its samples: bounces in the manner of other software, and samples as gateways change them."""

from __future__ import annotations

import base64
import html
import json
import quopri
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdnwatch.mail import mime
from mdnwatch.mail.notice import read_notice
from mdnwatch.mail.reader import read
from mdnwatch.model.report import Dsn
from mdnwatch.parse import parse

SAMPLES = Path(__file__).parents[1] / "samples"
STYLES = sorted((SAMPLES / "styles").glob("*.txt"))
BOUNCES = sorted((SAMPLES / "bounces").glob("*.eml"))
REPORTS = [*BOUNCES, *sorted((SAMPLES / "real").glob("*-dsn-*.eml"))]


def recipients(data: bytes) -> list[tuple[Any, ...]]:
    told: Any = parse(data, "x")["recipients"]
    return [(one["address"], one["action"], one["status"]) for one in told]


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.stem)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_bounce_of_software_without_a_sample_is_understood_by_its_words(style: Path, line_end: str) -> None:
    expected, _, message = style.read_text("utf-8").partition("\n\n")
    found = recipients(message.replace("\n", line_end).encode())
    wanted = [tuple(line.split()) for line in expected.split("\n")]
    # Where the text names no status, none is asked for.
    assert [told[: len(want)] for told, want in zip(found, wanted, strict=True)] == wanted


def plain(sample: Path) -> tuple[bytes, bytes] | None:
    """Header and body of a sample that is one text, its header without what MIME says of it; None for others."""
    data = sample.read_bytes().replace(b"\r\n", b"\n").lstrip(b"\n")
    message = mime.read(data)
    header, _, body = data.partition(b"\n\n")
    if message.root.parts or message.root.media_type != "text/plain" or message.root.encoding not in {"", "7bit"}:
        return None
    if not body.isascii() or "charset" in (message.header.get("content-type") or "").lower():
        return None
    fields = re.findall(rb"(?m)^\S.*(?:\n[ \t].*)*", header)
    return b"\n".join(field for field in fields if not field.lower().startswith((b"content-", b"mime-"))), body


TEXTS = [(sample.stem, *found) for sample in BOUNCES if (found := plain(sample)) is not None]


def as_base64(body: bytes) -> bytes:
    return b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(body)


def as_quoted_printable(body: bytes) -> bytes:
    return b"Content-Transfer-Encoding: quoted-printable\n\n" + quopri.encodestring(body)


def as_html(body: bytes) -> bytes:
    lines = html.escape(body.decode(), quote=False).replace("  ", "&nbsp; ").replace("\n", "<br>\n")
    return b"Content-Type: text/html\n\n<html><body>" + lines.encode() + b"</body></html>"


def with_alternative(body: bytes) -> bytes:
    begin = b"Content-Type: multipart/alternative; boundary=alt\n\n--alt\n\n"
    return begin + body + b"\n--alt\n" + as_html(body) + b"\n--alt--\n"


def with_footer(body: bytes) -> bytes:
    rule = b"_" * 47
    return b"\n" + body.rstrip(b"\n") + b"\n\n" + rule + b"\nusers mailing list\nusers@lists.example\n"


def through_a_gateway(body: bytes) -> bytes:
    begin = b"Content-Type: multipart/mixed; boundary=gw\n\n--gw\n\n"
    footer = b"This message was checked.\nIf unsure contact helpdesk@gw.example\n"
    return begin + body + b"\n--gw\nContent-Type: text/plain\n\n" + footer + b"--gw--\n"


@pytest.mark.parametrize(
    "change", [as_base64, as_quoted_printable, as_html, with_alternative, with_footer, through_a_gateway]
)
@pytest.mark.parametrize(("name", "header", "body"), TEXTS, ids=[name for name, _, _ in TEXTS])
def test_the_recipients_stay_the_same_whatever_carries_the_text(
    name: str, header: bytes, body: bytes, change: Callable[[bytes], bytes]
) -> None:
    if name == "aol-1" and change is as_html:
        pytest.skip("its screen names are told by a tab, which HTML does not keep")
    changed = recipients(header + b"\n" + change(body))
    assert changed == recipients(header + b"\n\n" + body)


def words(sample: Path) -> tuple[str, str]:
    notice = read_notice(mime.read(sample.read_bytes()))
    return notice.subject, notice.whole


PERSON = "From: Bob Smith <bob@x.example>\nTo: sender@our.example\nReturn-Path: <bob@x.example>\n"
LIST = "List-Id: <users.lists.example>\nPrecedence: list\nReturn-Path: <users-bounces@lists.example>\n"
TICKET = "From: Support <help@desk.example>\nTo: sender@our.example\nAuto-Submitted: auto-generated\n"
HELP = "Hi,\n\nany idea what this means?\n\n%s\n\nBest, Bob\n"
WAYS = {
    "pasted": (PERSON + "Subject: %s\n", HELP),
    "pasted whole": (PERSON + "Subject: %s\n", "%s"),
    "asked about": (PERSON + "Subject: Undeliverable mail, question about a bounce\n", HELP),
    "asked on a list": (LIST + PERSON + "Subject: [users] %s\n", HELP),
    "answered": (PERSON + "Subject: Re: %s\nIn-Reply-To: <x@y.example>\n", HELP),
    "forwarded": (PERSON + "Subject: Fwd: %s\n", "-------- Forwarded Message --------\n\n%s"),
    "in a ticket": (TICKET + "Subject: [T#77] %s\n", "Dear customer,\n\nyou wrote:\n\n%s"),
    "in a ticket's answer": (TICKET + "Subject: Ticket received: %s\n", "Dear customer,\n\nyou wrote:\n\n%s"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_people_and_ticket_systems_do_with_a_bounce_makes_no_bounce(way: str) -> None:
    header, text = WAYS[way]
    for sample in REPORTS:
        subject, bounce = words(sample)
        subject = " ".join(subject.split()) or "Returned mail"
        head = header.replace("%s", subject) + "Content-Type: text/plain; charset=utf-8\n\n"
        data = (head + text.replace("%s", bounce)).encode("utf-8", "replace")
        assert not isinstance(read(data), Dsn), sample.stem


def test_the_styles_are_no_samples_of_a_format() -> None:
    # They measure the general reader: few may look like something that is known.
    messages = [style.read_bytes().partition(b"\n\n")[2] for style in STYLES]
    known = [json.dumps(parse(message, "x")["format"]) for message in messages]
    assert known.count('"general"') > 0.7 * len(known)
