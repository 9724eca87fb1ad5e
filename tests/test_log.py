from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from mdnwatch import log

SECRET = "whsec_bm90LXNvLXJhbmRvbS1ieXRlcy1oZXJlLTEyMzQ1"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_away_from_a_terminal_a_line_is_json_with_a_utc_time() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    structlog.get_logger().info("message handled", uid=7, recipients=["anna@example.org"], outcome=None)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "message handled",
        "level": "info",
        "uid": 7,
        "recipients": ["a…@example.org"],
        "outcome": None,
    }


def test_on_a_terminal_a_line_is_for_people() -> None:
    stream = Terminal()
    log.configure(stream=stream)
    structlog.get_logger().info("message handled", uid=7)
    assert "message handled" in stream.getvalue()
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(stream.getvalue())


@pytest.mark.parametrize(("form", "stream", "is_json"), [("json", Terminal(), True), ("console", io.StringIO(), False)])
def test_the_form_can_be_fixed(form: str, stream: io.StringIO, *, is_json: bool) -> None:
    log.configure(form=form, stream=stream)
    structlog.get_logger().info("started")
    assert stream.getvalue().startswith("{") == is_json


@pytest.mark.parametrize("odd", [2**64, "caf\udce9"])
def test_what_quick_json_cannot_write_is_written_all_the_same(odd: int | str) -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    structlog.get_logger().info("x", odd=odd)
    assert [line["odd"] for line in lines(stream)] == [odd]


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    log.configure(level="warning", stream=stream)
    structlog.get_logger().info("not this")
    structlog.get_logger().warning("but this")
    assert [line["event"] for line in lines(stream)] == ["but this"]


@pytest.mark.parametrize(
    ("text", "shortened"),
    [
        ("anna.schmidt@example.org", "a…@example.org"),
        ("5.1.1 <anna@example.org>: unknown", "5.1.1 <a…@example.org>: unknown"),
        ("to anna@a.example,bob@b.example;carl@c.example", "to a…@a.example,b…@b.example;c…@c.example"),
        ('"anna schmidt"@example.org', "…@example.org"),
        ("özil@bücher.example", "ö…@bücher.example"),
        ("@example.org", "@example.org"),
        ("no address", "no address"),
        ("mailto:anna@example.org", "mailto:a…@example.org"),
    ],
)
def test_of_an_address_the_domain_and_one_letter_remain(text: str, shortened: str) -> None:
    assert log.scrubbed_text(text) == shortened


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        (f"refused: {SECRET}", "refused: whsec_…"),
        ("https://user:hunter2@hooks.example/x", "https://user:…@hooks.example/x"),
        ("https://hooks.example:8443/x", "https://hooks.example:8443/x"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer …"),
        ("C3 AUTHENTICATE PLAIN AGFubmEAaHVudGVyMg==", "C3 AUTHENTICATE PLAIN …"),
        ("C3 LOGIN anna hunter2", "C3 LOGIN anna …"),
    ],
)
def test_secrets_are_left_out(text: str, scrubbed: str) -> None:
    assert log.scrubbed_text(text) == scrubbed


def test_values_under_names_of_secrets_are_dropped_wherever_they_stand() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    structlog.get_logger().info("x", password="hunter2", at={"access_token": "hunter2", "host": "mail.example"})
    (line,) = lines(stream)
    assert "hunter2" not in stream.getvalue()
    assert line["at"] == {"host": "mail.example"}


def test_names_of_accounts_and_messages_stay_whole() -> None:
    stream = io.StringIO()
    log.configure(stream=stream)
    structlog.get_logger().info("x", account="sales@example.org", message_id="<1.2@example.org>")
    (line,) = lines(stream)
    assert (line["account"], line["message_id"]) == ("sales@example.org", "<1.2@example.org>")


@pytest.mark.parametrize("form", ["json", "console"])
def test_foreign_text_neither_forges_lines_nor_drives_the_terminal(form: str) -> None:
    stream = io.StringIO()
    log.configure(form=form, stream=stream)
    structlog.get_logger().info("x", diagnostic="550 no\r\n2026 [info] forged \x1b[2J\x9b2J \u202egpj.exe")
    assert len(stream.getvalue().splitlines()) == 1
    assert not {"\x1b", "\x9b", "\u202e"} & set(stream.getvalue())


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_told_without_addresses_secrets_or_variables(form: str) -> None:
    stream = io.StringIO()
    log.configure(form=form, stream=stream)

    def login(password: str) -> None:
        int(f"anna@example.org Basic {password}")

    password = "hunter2"
    try:
        login(password)
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError: invalid literal for int() with base 10: 'a…@example.org Basic …" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_libraries_are_heard_from_warnings_on_and_scrubbed() -> None:
    stream = io.StringIO()
    log.configure(level="debug", stream=stream)
    library = logging.getLogger("aioimaplib.aioimaplib")
    library.debug("Sending : C3 LOGIN anna hunter2")
    library.info("connected")
    library.warning("%s was refused: C3 LOGIN anna hunter2", "anna@example.org")
    (line,) = lines(stream)
    assert line["event"] == "a…@example.org was refused: C3 LOGIN anna …"
    assert (line["level"], line["logger"]) == ("warning", "aioimaplib.aioimaplib")


def test_warnings_of_the_interpreter_are_logged() -> None:
    stream = io.StringIO()
    with warnings.catch_warnings():
        log.configure(stream=stream)
        warnings.simplefilter("always")
        warnings.warn("old habit", DeprecationWarning, stacklevel=1)
    (line,) = lines(stream)
    assert "old habit" in line["event"]


def test_a_long_line_of_addresses_takes_linear_time() -> None:
    # Quadratic, this would take minutes.
    text = "a" * 500_000 + "@" + "b@" * 100_000 + '"' * 100_000 + "@"
    assert len(log.scrubbed_text(text)) < len(text)
