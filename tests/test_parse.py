from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from samples.golden import REAL

from mdnwatch import parse

MDN = REAL / "kmail-KMman-mdn-displayed-manual.eml"
DSN = REAL / "sendmail-SMmix-dsn-failed.eml"


def run(*paths: Path | str, mbox: bool = False) -> tuple[int, list[dict[str, object]], str]:
    out, errors = io.StringIO(), io.StringIO()
    status = parse.run(map(str, paths), out, errors, mbox=mbox)
    return status, [json.loads(line) for line in out.getvalue().splitlines()], errors.getvalue()


def test_a_receipt_is_one_line_with_its_one_recipient() -> None:
    status, [line], errors = run(MDN)
    assert (status, errors) == (0, "")
    assert line == {
        "file": str(MDN),
        "kind": "mdn",
        "format": "rfc8098",
        "original_message_id": "<f638d7322a574dc5.KMman@mail.example>",
        "original_envelope_id": None,
        "recipients": [
            {
                "address": "kmail@mail.example",
                "original_recipient": None,
                "action": None,
                "status": None,
                "diagnostic_code": None,
            }
        ],
        "mdn": {
            "type": "displayed",
            "action_mode": "manual-action",
            "sending_mode": "mdn-sent-automatically",
            "modifiers": [],
            "reporting_ua": "vm; KMime 5.22.3",
            "final_recipient": "rfc822; KMail User <kmail@mail.example>",
            "original_recipient": None,
        },
        "defects": [],
    }


def test_a_delivery_report_is_one_line_with_its_recipients() -> None:
    _, [line], _ = run(DSN)
    assert (line["kind"], line["format"], line["mdn"]) == ("dsn", "rfc3464", None)
    assert line["original_envelope_id"] == "SMmix"
    assert line["original_message_id"] == "<63710b99b0724c11.SMmix@mail.example>"
    recipients = line["recipients"]
    assert isinstance(recipients, list)
    assert [(found["address"], found["action"], found["status"]) for found in recipients] == [
        ("x@reject.example", "failed", "5.7.1"),
        ("y@quota.example", "failed", "5.2.2"),
    ]
    assert recipients[1]["diagnostic_code"].startswith("smtp; 552-5.2.2 The recipient's inbox")


def test_ordinary_mail_is_a_line_too(tmp_path: Path) -> None:
    lunch = tmp_path / "lunch.eml"
    lunch.write_bytes(b"From: bob@there.example\nSubject: Lunch?\nMessage-ID: <l@there.example>\n\nAt noon?\n")
    _, [line], _ = run(lunch)
    assert (line["kind"], line["format"], line["recipients"]) == ("ordinary", None, [])


def without_fields(data: bytes) -> bytes:
    for name in (b"Final-Recipient", b"Action", b"Status", b"Remote-MTA", b"Diagnostic-Code", b"Last-Attempt-Date"):
        data = data.replace(name + b":", b"X-" + name + b":")
    return data


def test_a_report_without_fields_is_read_from_its_text() -> None:
    line = parse.parse(without_fields(DSN.read_bytes()), "x")
    assert (line["kind"], line["format"]) == ("nonstandard-bounce", "sendmail")
    recipients = line["recipients"]
    assert isinstance(recipients, list)
    assert [one["address"] for one in recipients] == ["x@reject.example", "y@quota.example"]


ABOUT_NOBODY = b"""\
From: mailer-daemon@there.example
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

See below.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.there.example

--b
Content-Type: text/rfc822-headers

Message-ID: <offer@mail.example>

--b--
"""


def test_a_malformed_report_keeps_the_kind_it_declares() -> None:
    line = parse.parse(ABOUT_NOBODY, "x")
    assert (line["kind"], line["format"], line["defects"]) == ("dsn", None, ["malformed"])
    assert line["original_message_id"] == "<offer@mail.example>"


def test_a_receipt_of_as2_is_named_as_such() -> None:
    line = parse.parse(b"AS2-Version: 1.1\r\n" + MDN.read_bytes(), "x")
    assert (line["kind"], line["format"]) == ("mdn", "as2")


def test_a_repeated_recipient_is_named_once() -> None:
    data = DSN.read_bytes().replace(b"y@quota.example", b"x@reject.example")
    recipients = parse.parse(data, "x")["recipients"]
    assert isinstance(recipients, list)
    assert [found["address"] for found in recipients] == ["x@reject.example"]


def test_a_maildir_gives_all_its_messages(tmp_path: Path) -> None:
    for folder in ("cur", "new", "tmp"):
        (tmp_path / folder).mkdir()
    (tmp_path / "new" / "2").write_bytes(MDN.read_bytes())
    (tmp_path / "cur" / "1:2,S").write_bytes(DSN.read_bytes())
    (tmp_path / "tmp" / "3").write_bytes(b"unfinished")
    _, lines, _ = run(tmp_path)
    assert [(line["file"], line["kind"]) for line in lines] == [
        (str(tmp_path / "cur" / "1:2,S"), "dsn"),
        (str(tmp_path / "new" / "2"), "mdn"),
    ]


def test_an_mbox_is_split(tmp_path: Path) -> None:
    mbox = tmp_path / "mbox"
    quoted = b"From: a@b\n\n>From here on\n"
    mbox.write_bytes(
        b"".join(b"From x Mon\n" + data + b"\n\n" for data in (MDN.read_bytes(), quoted, DSN.read_bytes()))
    )
    _, lines, _ = run(mbox, mbox=True)
    assert [(line["file"], line["kind"]) for line in lines] == [
        (f"{mbox}#1", "mdn"),
        (f"{mbox}#2", "ordinary"),
        (f"{mbox}#3", "dsn"),
    ]


def test_only_a_from_line_after_a_blank_one_begins_a_message() -> None:
    lines = [
        b"From x\n",
        b"A: b\n",
        b"\n",
        b"one\n",
        b"From two\n",
        b">From three\n",
        b">>From four\n",
        b"\n",
        b"From y\n",
        b"C: d\n",
    ]
    assert list(parse.split_mbox(lines)) == [b"A: b\n\none\nFrom two\nFrom three\n>From four\n\n", b"C: d\n"]
    assert list(parse.split_mbox([b"A: b\n", b"\n", b"x"])) == [b"A: b\n\nx"]
    assert list(parse.split_mbox([])) == []


def test_a_from_line_at_the_top_of_a_file_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "one"
    file.write_bytes(b"From x Mon Nov 23\n" + MDN.read_bytes())
    assert run(file)[1][0]["kind"] == "mdn"


def test_what_cannot_be_read_is_said_and_the_rest_is_read(tmp_path: Path) -> None:
    status, lines, errors = run(tmp_path / "absent", tmp_path, MDN)
    assert status == 1
    assert [line["kind"] for line in lines] == ["mdn"]
    assert errors.splitlines() == [
        f"{tmp_path / 'absent'}: No such file or directory",
        f"{tmp_path}: is a directory, but no Maildir: it has no cur and new",
    ]


def test_a_line_is_ascii_whatever_the_bytes() -> None:
    name = os.fsdecode(b"\xff\xfe.eml")
    fields = b"Final-Recipient: utf-8; bj\xc3\xb8rn@x\nDisposition: a/b; displayed\x1b\nReporting-UA: \xff\xfe\x00\n"
    data = b"Content-Type: message/disposition-notification\n\n" + fields
    line = json.dumps(parse.parse(data, name))
    assert line.isascii()
    found = json.loads(line)
    assert found["recipients"][0]["address"] == "bjørn@x"
    assert "\x1b" not in found["mdn"]["type"]


def test_standard_input_is_read_by_its_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mdnwatch.parse", "-"], input=MDN.read_bytes(), capture_output=True, check=True
    )
    line = json.loads(done.stdout)
    assert (line["file"], line["kind"]) == ("-", "mdn")


def test_parse_imports_nothing_that_takes_long() -> None:
    script = (
        "import sys; from mdnwatch import parse; parse.parse(open(sys.argv[1], 'rb').read(), 'x');"
        "print(*{'aiohttp', 'pydantic', 'flanker', 'aioimaplib', 'typer', 'asyncio', 'email'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", script, str(DSN)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


CORPUS = Path(__file__).parents[2] / "shared" / "corpus"


@pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus is not on this machine")
def test_the_standard_reports_of_the_corpus_are_read_as_expected() -> None:
    rows = [json.loads(line) for line in (CORPUS / "manifest.jsonl").read_text("utf-8").splitlines()]
    wrong: list[str] = []
    expected = 0
    for row in rows:
        if row["kind"] not in {"mdn", "dsn"}:
            continue
        expected += 1
        line = parse.parse((CORPUS / row["file"]).read_bytes(), row["file"])
        found = line["recipients"]
        assert isinstance(found, list)
        addresses = {str(recipient["address"]).lower(): recipient["action"] for recipient in found}
        for recipient in row["recipients"]:
            names = [name.lower() for name in (recipient["address"], *recipient.get("aliases", ()))]
            action = next((addresses[name] for name in names if name in addresses), "missing")
            if action == "missing" or recipient["action"] not in {None, action}:
                wrong.append(row["file"])
    # Three DSNs without usable fields are for the readers of bounce formats; one row spells an address by mistake.
    assert len(wrong) <= 0.01 * expected


@pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus is not on this machine")
def test_mail_of_the_corpus_that_is_no_report_is_told_as_what_it_is() -> None:
    rows = [json.loads(line) for line in (CORPUS / "manifest.jsonl").read_text("utf-8").splitlines()]
    taken = [
        row["file"]
        for row in rows
        if row["kind"] in {"ordinary", "auto-reply"}
        and parse.parse((CORPUS / row["file"]).read_bytes(), "x")["kind"] != row["kind"]
    ]
    assert taken == []
