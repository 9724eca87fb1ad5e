"""Sink `apprise`: events as messages of a chat, a phone, or any other service that Apprise knows."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from string import Template
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from mdnwatch.errors import ConfigError
from mdnwatch.event_words import words_of
from mdnwatch.model.event_type import EventType
from mdnwatch.model.notification import Outcome, Outgoing, Verdict
from mdnwatch.model.text import clean
from mdnwatch.problems import did_you_mean, quoted
from mdnwatch.settings import Secret
from mdnwatch.sinks.base import SinkSettings

KIND = "apprise"

# What a template may name; each stands for a text of the event, or for "".
PLACEHOLDERS = ("type", "who", "what", "why", "subject", "message_id", "account", "reference", "grade", "id")

# The first line is the title.
DEFAULT_TEMPLATE = "$subject: $what\n$who: $what ($why)"

# Services that render Markdown, although Apprise 2.3 hands plain text on to them as it is.
_RENDERING = frozenset({"mmost", "mmosts", "rocket", "rockets", "zulip"})

# Services with which everybody in the room is called by such a word; U+2060 joins without being seen.
_CALLS = re.compile(r"@(?=(?:everyone|here|channel|all|room)\b)", re.IGNORECASE)
_WORD_JOINER = "\u2060"


class AppriseSettings(SinkSettings):
    """One `[[sinks]]` table of kind "apprise"."""

    kind: Literal["apprise"] = "apprise"
    url: Annotated[
        Secret,
        Field(
            description="The service, as Apprise writes it; it holds its own password, and so is a secret.",
            examples=[{"credential": "chat"}],
        ),
    ]
    templates: Annotated[
        Mapping[str, str],
        Field(description="What is said, by type of event or pattern; the first line is the title.", examples=[{}]),
    ] = {}

    @field_validator("templates")
    @classmethod
    def _usable(cls, templates: Mapping[str, str]) -> Mapping[str, str]:
        for pattern, text in templates.items():
            if not any(fnmatchcase(event_type, pattern) for event_type in EventType):
                raise ValueError(f"{quoted(pattern)} matches no event{did_you_mean(pattern, list(EventType))}")
            template = Template(text)
            unknown = sorted({*template.get_identifiers()} - {*PLACEHOLDERS})
            if unknown or not template.is_valid():
                what = f"${unknown[0]}" if unknown else 'a "$"'
                raise ValueError(
                    f"{quoted(pattern)}: {what} stands for nothing: write $$ for a dollar, or one of "
                    + ", ".join(f"${name}" for name in PLACEHOLDERS)
                )
        return templates

    def template(self, event_type: str) -> Template:
        """What is said of a type of event: its own text, or that of the first pattern that it matches."""
        patterns = (text for pattern, text in self.templates.items() if fnmatchcase(event_type, pattern))
        return Template(self.templates.get(event_type) or next(patterns, DEFAULT_TEMPLATE))


class Chat:
    """The sink: one service of Apprise."""

    def __init__(self, settings: AppriseSettings, url: str) -> None:
        self.settings = settings
        self.identity = hashlib.sha256(f"{url}\0{settings.templates}".encode()).hexdigest()[:32]
        self._service = _service(url, settings.timeout.total_seconds())

    async def send(self, notification: Outgoing) -> Outcome:
        """Say it once.

        Apprise tells only whether a service took it. One that did not is mostly unavailable, and taken for that:
        nothing is given up while it is away. That an event itself is refused shows when others are taken.
        """
        title, _, body = self._text(json.loads(notification.body), notification.event_type).partition("\n")
        seconds = self.settings.timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                # Plain text: Apprise escapes it for services that render HTML or Markdown.
                taken = await asyncio.to_thread(self._service.notify, body or title, title, body_format="text")
        except TimeoutError:
            return Outcome(Verdict.UNAVAILABLE, f"no answer within {seconds:g} s")
        if taken:
            return Outcome(Verdict.DELIVERED, "")
        return Outcome(Verdict.UNAVAILABLE, "the service did not take it: try its URL with the command apprise")

    async def close(self) -> None:
        """Nothing is kept open."""

    def _text(self, event: Mapping[str, Any], event_type: str) -> str:
        words, data = words_of(event), event["data"]
        message = data.get("message", {})
        values = {
            "type": event_type,
            "who": words.who,
            "what": words.what,
            "why": words.why or "no details",
            "subject": words.subject or message.get("message_id") or "mdnwatch",
            "message_id": message.get("message_id") or data.get("message_id") or "",
            "account": message.get("account") or data.get("account") or "",
            "reference": message.get("reference") or "",
            "grade": words.grade,
            "id": data["id"],
        }
        harmless = {name: _CALLS.sub(f"@{_WORD_JOINER}", clean(str(value))) for name, value in values.items()}
        return self.settings.template(event_type).substitute(harmless)


def _service(url: str, seconds: float) -> Any:  # noqa: ANN401 - a type of the extra
    try:
        import apprise  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError(['apprise is not installed: pip install "mdnwatch[chat]"']) from None
    # What stands in a text is never a template, a code for an emoji, or an escape.
    asset = apprise.AppriseAsset(allow_templates=False, service_timeout=seconds)
    asset.interpret_escapes = asset.async_mode = False
    asset.interpret_emojis = False  # type: ignore[assignment] # the library leaves bool out
    asset.app_id, asset.app_desc, asset.app_url = "mdnwatch", "mdnwatch", ""
    service = apprise.Apprise(asset=asset)
    if not service.add(url) or len(service) != 1:
        raise ConfigError(["Apprise knows no service of this URL: https://github.com/caronc/apprise lists them"])
    if url.partition(":")[0].lower() in _RENDERING:
        service[0].notify_format = apprise.NotifyFormat.MARKDOWN
    return service


def build(settings: AppriseSettings, *, now: Callable[[], datetime]) -> Chat:  # noqa: ARG001 - events bear their time
    """The sink, with its URL read (which may block). Raises ConfigError."""
    try:
        return Chat(settings, settings.url.read())
    except ConfigError as error:
        raise ConfigError([f"sink {settings.name}: url: {problem}" for problem in error.problems]) from None


SETTINGS = AppriseSettings
