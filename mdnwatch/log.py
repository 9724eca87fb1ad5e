"""The operational log: structlog as JSON lines or for people, with addresses shortened and secrets left out."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Named by the operator, or names of messages and not of people: without them no line could be understood.
_KEPT_WHOLE = frozenset({"account", "sink", "message_id", "sent", "report", "events"})

# Values under keys with such a word in them, in any case, are never written.
_SECRET_WORDS = ("passw", "secret", "token", "credential", "authorization", "signature")

# What gives a secret away wherever it stands: a webhook's secret, a password in a URL, HTTP and SASL credentials.
_SECRETS = re.compile(
    r"(?P<keep>\bwhsec_|://[^\s/:@]{0,256}:(?=[^\s/@]{1,256}@)"
    r"|\b(?:Bearer|Basic|PLAIN|XOAUTH2|OAUTHBEARER) |\bLOGIN \S{1,256} )[^\s@]+"
)

# Foreign text could otherwise forge lines of the log, or drive the terminal that shows them.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
_CONTROLS_BUT_LINE_ENDS = re.compile(_CONTROLS.pattern.replace(r"\x1f", r"\x09\x0b-\x1f"))

# What ends the local part of an address when one walks back from its "@".
_NOT_LOCAL = re.compile(r"[\s<>()\[\]:;,@]")
_HIDDEN = "…"


def configure(level: str = "info", form: str = "auto", stream: TextIO | None = None) -> None:
    """Set up structlog, and route what libraries log with `logging` into it, from WARNING on.

    `level` is "debug", "info", "warning" or "error"; `form` is "json", "console" or "auto": console on a terminal.
    Lines go to `stream`, by default standard error.
    """
    stream = stream or sys.stderr
    console = stream.isatty() if form == "auto" else form == "console"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
        scrub,
        # Of our own making: nothing to be scrubbed.
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, _renderer(stream, console=console)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _route_libraries(shared, _renderer(stream, console=console), stream)


def _renderer(stream: TextIO, *, console: bool) -> Processor:
    if not console:
        return structlog.processors.JSONRenderer(_json)
    # The exception formatters of rich and better_exceptions print local variables, and so secrets.
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )


def _json(line: EventDict, default: Callable[[Any], Any]) -> str:
    try:
        return orjson.dumps(line, default).decode("utf-8")
    except TypeError:  # a number beyond 64 bits, or a lone surrogate of undecodable text
        return json.dumps(line, default=default)


def _route_libraries(shared: list[Processor], renderer: Processor, stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Below that, aioimaplib logs what it sends, and so passwords.
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def scrub(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """A structlog processor: drops keys that name secrets; in values hides secrets and shortens addresses."""
    # One look at all keys: hardly any line has such a one.
    if _names_secret(" ".join(line)):
        line = {key: value for key, value in line.items() if not _names_secret(key)}
    return {key: _scrubbed_at(key, value) for key, value in line.items()}


@lru_cache(maxsize=1024)
def _names_secret(key: str) -> bool:
    lower = key.lower()
    return any(word in lower for word in _SECRET_WORDS)


def _scrubbed_at(key: str, value: object) -> object:
    # What begins with "_" belongs to structlog itself and is not written.
    if key in _KEPT_WHOLE or key.startswith("_"):
        return value
    if key == "exception":
        return _without_secrets(_CONTROLS_BUT_LINE_ENDS.sub(" ", str(value)))
    return _scrubbed(value)


def _scrubbed(value: object) -> object:
    if isinstance(value, str):
        return scrubbed_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _scrubbed(item) for key, item in value.items() if not _names_secret(str(key))}
    if isinstance(value, list | tuple | set | frozenset):
        return [_scrubbed(item) for item in value]
    return scrubbed_text(str(value))


def scrubbed_text(text: str) -> str:
    """A text on one line without secrets, and with `anna@example.org` as `a…@example.org`.

    That is enough to tell domains, and mostly people, apart; the report_id beside it leads to the whole address.
    """
    # What is printable holds no controls.
    return _without_secrets(text if text.isprintable() else _CONTROLS.sub(" ", text))


def _without_secrets(text: str) -> str:
    if " " in text or ":" in text or "whsec_" in text:
        text = _SECRETS.sub(lambda match: match["keep"] + _HIDDEN, text)
    if "@" not in text:
        return text
    *before, last = text.split("@")
    return "@".join([*map(_without_local_part, before), last])


def _without_local_part(text: str) -> str:
    """The text before an "@" with the local part at its end cut down to its first character."""
    if text.endswith(_HIDDEN):
        return text
    if text.endswith('"') and (start := text.rfind('"', 0, -1)) >= 0:
        return text[:start] + _HIDDEN
    start = max((match.end() for match in _NOT_LOCAL.finditer(text)), default=0)
    # A local part may hold an apostrophe, but one at its start is a quotation mark.
    start += text.startswith("'", start)
    return text[: start + 1] + _HIDDEN if start < len(text) else text
