"""The chat sink: Apprise posts to a real receiver, as it would to a service."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import ValidationError
from servers.receiver import Answer, Receiver

from mdnwatch.errors import ConfigError
from mdnwatch.model.notification import Outcome, Outgoing, Verdict
from mdnwatch.sinks import apprise
from mdnwatch.sinks.apprise import AppriseSettings, Chat

# Apprise imports modules that Python 3.13 no longer has, and replaces them there.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EVENT = {
    "type": "recipient.failed",
    "data": {
        "id": "evt_1",
        "message": {"message_id": "<offer@mail.example>", "subject": "Offer", "account": "sales", "reference": "A-7"},
        "recipient": {"address": "bob@there.example", "summary": "failed"},
        "evidence": {"kind": "failed", "fields": {"diagnostic_code": "smtp; 550 no such user"}},
        "authenticity": {"grade": "consistent"},
    },
}


def outgoing(event: dict[str, Any]) -> Outgoing:
    return Outgoing("evt_1", event["type"], json.dumps(event).encode(), 1)


def chat(receiver: Receiver, **table: Any) -> Chat:  # noqa: ANN401 - what a file may hold
    url = receiver.url.replace("http://", "json://")
    return apprise.build(AppriseSettings.model_validate({"name": "chat", "url": url, **table}), now=lambda: None)  # type: ignore[arg-type,return-value] # it needs no clock


async def said(event: dict[str, Any], **table: Any) -> tuple[str, str]:  # noqa: ANN401 - the same
    async with Receiver() as receiver:
        assert await chat(receiver, **table).send(outgoing(event)) == Outcome(Verdict.DELIVERED, "")
        (request,) = receiver.received
    told = json.loads(request.body)
    return told["title"], told["message"]


def with_subject(text: str) -> dict[str, Any]:
    data: dict[str, Any] = {**EVENT["data"]}  # type: ignore[dict-item] # a table
    return {**EVENT, "data": {**data, "message": {**data["message"], "subject": text}}}


@pytest.mark.asyncio
async def test_a_failure_is_said_in_a_title_and_a_line() -> None:
    assert await said(EVENT) == ("Offer: failed", "bob@there.example: failed (550 no such user)")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("templates", "words"),
    [
        (
            {"recipient.*": "$account\n$reference $$ $who $grade $id"},
            ("sales", "A-7 $ bob@there.example consistent evt_1"),
        ),
        ({"recipient.*": "no", "recipient.failed": "$type\n$message_id"}, ("recipient.failed", "<offer@mail.example>")),
        ({"recipient.displayed": "no"}, ("Offer: failed", "bob@there.example: failed (550 no such user)")),
        ({"*": "one line for $who"}, ("one line for bob@there.example", "one line for bob@there.example")),
    ],
)
async def test_people_say_it_in_their_own_words(templates: dict[str, str], words: tuple[str, str]) -> None:
    assert await said(EVENT, templates=templates) == words


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        ("json", "<b>&amp;</b> :smile: $who ${HOME} {{who}} \\n [x](http://x.example)"),
        ("mmost", "\\[x\\]\\(http://x\\.example\\)"),
    ],
)
async def test_what_others_write_is_text_for_every_service(scheme: str, text: str) -> None:
    hostile = "<b>&amp;</b> :smile: $who ${HOME} {{who}} \\n [x](http://x.example)"
    bodies = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.Response()

    application = web.Application()
    application.router.add_post("/{path:.*}", take)
    async with TestServer(application) as service:
        url = f"{scheme}://{service.host}:{service.port}/abcdefghijklmnop"
        settings = AppriseSettings.model_validate({"name": "chat", "url": url, "templates": {"*": "x\n$subject"}})
        made = apprise.build(settings, now=lambda: None)  # type: ignore[arg-type,return-value] # it needs no clock
        assert (await made.send(outgoing(with_subject(hostile)))).verdict is Verdict.DELIVERED
    (told,) = bodies
    assert (told.get("message") or told["text"]).endswith(text)


@pytest.mark.asyncio
async def test_nobody_calls_the_whole_room_by_a_subject() -> None:
    title, _ = await said(with_subject("@everyone and @here, but not @hereford"))
    assert title == "@\u2060everyone and @\u2060here, but not @hereford: failed"


@pytest.mark.asyncio
async def test_a_service_that_does_not_take_an_event_is_taken_for_unavailable() -> None:
    async with Receiver() as receiver:
        receiver.behaviour = lambda _: Answer(500)
        outcome = await chat(receiver).send(outgoing(EVENT))
    assert outcome.verdict is Verdict.UNAVAILABLE
    assert "did not take it" in outcome.cause


@pytest.mark.asyncio
async def test_an_event_about_no_message_is_said_too() -> None:
    event = {
        "type": "source.down",
        "data": {"id": "evt_1", "source": "sales", "account": "sales", "reason": "refused password"},
    }
    assert await said(event) == ("mdnwatch: down", "sales: down (refused password)")


@pytest.mark.parametrize(
    ("templates", "problem"),
    [
        ({"recipient.failed": "$whom"}, r"\$whom stands for nothing"),
        ({"recipient.failed": "100 $ and more"}, r'a "\$" stands for nothing: write \$\$ for a dollar'),
        ({"recipient.faild": "x"}, 'matches no event.*did you mean "recipient.failed"'),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused_at_the_start(templates: dict[str, str], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        AppriseSettings.model_validate({"name": "chat", "url": "json://localhost", "templates": templates})


def test_a_url_that_apprise_does_not_know_is_refused_without_being_shown() -> None:
    settings = AppriseSettings.model_validate({"name": "chat", "url": "nonsense://hunter2@nowhere"})
    with pytest.raises(ConfigError, match="sink chat: url: Apprise knows no service") as refused:
        apprise.build(settings, now=lambda: None)  # type: ignore[arg-type,return-value] # it needs no clock
    assert "hunter2" not in str(refused.value)
