from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from servers.dovecot import certificates
from servers.scripted_imap import Answer, Close, Hang, ScriptedImap, scripted_imap

from mdnwatch.errors import SourceError, SourceRefused
from mdnwatch.sources.imap_client import Client, CommandRefused, tls_context, uid_set
from mdnwatch.sources.imap_grammar import Fetched
from mdnwatch.sources.imap_settings import ImapSettings

USERNAME = "alice@mail.example"
PASSWORD = 'cor"rect \\ horse'


# For tests in which a server falls silent.
IMPATIENT = dict.fromkeys(("connect_timeout", "answer_timeout", "command_timeout"), "300ms")


def settings(**given: object) -> ImapSettings:
    table = {"name": "a", "host": "127.0.0.1", "tls": "none", "username": USERNAME, "password": PASSWORD}
    return ImapSettings.model_validate({**table, **given})


@asynccontextmanager
async def client(server: ScriptedImap, password: str = PASSWORD, **others: object) -> AsyncIterator[Client]:
    """A login at a server."""
    async with scripted_imap(server):
        one = settings(port=server.port, **others)
        tls = tls_context(one)
        opened = await Client.open(one, password, tls, now=lambda: datetime.now(UTC), beat=lambda: None)
        try:
            yield opened
        finally:
            opened.abort()


async def refusal(server: ScriptedImap, password: str = PASSWORD, **others: object) -> SourceError:
    """What a login fails with."""
    with pytest.raises(SourceError) as caught:
        async with client(server, password, **others):
            pass
    return caught.value


@pytest.fixture
def tls_server(tmp_path: Path) -> ssl.SSLContext:
    certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


def test_uids_are_asked_for_as_ranges() -> None:
    assert uid_set([4, 7, 8, 9, 12, 13]) == "4,7:9,12:13"


@pytest.mark.asyncio
async def test_quotes_and_backslashes_of_username_and_password_arrive() -> None:
    server = ScriptedImap()
    async with client(server, username='o"brien smith', addresses=["smith@mail.example"]):
        assert 'LOGIN "o\\"brien smith" "cor\\"rect \\\\ horse"' in server.commands


@pytest.mark.asyncio
async def test_a_password_beyond_ascii_goes_by_authenticate_plain() -> None:
    credentials = base64.b64encode(f"\0{USERNAME}\0größer".encode()).decode()
    with_initial_response = ScriptedImap()
    async with client(with_initial_response, "größer"):
        assert f"AUTHENTICATE PLAIN {credentials}" in with_initial_response.commands
    without = ScriptedImap(capabilities=b"IMAP4rev1 AUTH=PLAIN")
    async with client(without, "größer"):
        assert without.commands[1:3] == ["AUTHENTICATE PLAIN", credentials]


@pytest.mark.asyncio
async def test_a_second_question_during_the_login_is_cancelled() -> None:
    server = ScriptedImap({"AUTHENTICATE": b"+ \r\n+ eyJzdGF0dXMiOiI0MDAifQ==\r\n"})
    await refusal(server, "größer", **IMPATIENT)
    assert server.commands[-1] == ""  # "*" has no words behind it


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("capabilities", "password", "words"),
    [
        (b"IMAP4rev1 LOGINDISABLED", "pw", "takes no password without TLS"),
        (b"IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2", "pw", "takes access tokens only: put a table [accounts.oauth]"),
        (b"IMAP4rev1", "größer", "no characters beyond ASCII"),
        (b"IMAP4rev1", "a\r\nA9 DELETE INBOX", "line break"),
        (b"IMAP4rev1", "a\0b", "NUL"),
        (b"IMAP4rev1", "a\udce9b", "no UTF-8"),
    ],
)
async def test_a_password_that_cannot_be_sent_is_not_sent(capabilities: bytes, password: str, words: str) -> None:
    server = ScriptedImap(capabilities=capabilities)
    error = await refusal(server, password)
    assert isinstance(error, SourceRefused)
    assert words in str(error)
    assert server.commands == ["CAPABILITY"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "for_good"),
    [
        (b"{tag} NO [AUTHENTICATIONFAILED] Invalid credentials.\r\n", True),
        (b"{tag} NO go away\r\n", True),
        (b"{tag} BAD syntax\r\n", True),
        (b"{tag} NO [UNAVAILABLE] Temporary authentication failure.\r\n", False),
        (b"{tag} NO Temporary authentication failure.\r\n", False),
        (b"{tag} NO [LIMIT] Too many connections\r\n", False),
        (b"{tag} NO Too many simultaneous connections.\r\n", False),
    ],
)
async def test_a_refused_password_is_told_from_a_server_that_cannot_now(answer: bytes, *, for_good: bool) -> None:
    error = await refusal(ScriptedImap({"LOGIN": answer}))
    assert isinstance(error, SourceRefused) is for_good
    assert USERNAME in str(error)


@pytest.mark.asyncio
@pytest.mark.parametrize("password", [PASSWORD, "größer horse"])
async def test_a_password_stands_in_no_error_and_no_log(password: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    # Some servers repeat in their answer what they did not like.
    def echo(words: str) -> bytes:
        return f"{{tag}} BAD what is {words} or {password}?\r\n".encode()

    error: BaseException | None = await refusal(ScriptedImap({"LOGIN": echo, "AUTHENTICATE": echo}), password)
    secrets = ("horse", base64.b64encode(f"\0{USERNAME}\0{password}".encode()).decode())
    while error is not None:
        assert not any(secret in f"{error} {error!r}" for secret in secrets)
        error = error.__cause__ or error.__context__
    assert not any(secret in caplog.text for secret in secrets)
    assert "aioimaplib" not in {record.name.partition(".")[0] for record in caplog.records}


@pytest.mark.asyncio
async def test_what_a_server_can_do_is_asked_again_after_the_login() -> None:
    before, after = b"* CAPABILITY IMAP4rev1\r\n{tag} OK\r\n", b"* CAPABILITY IMAP4rev1 IDLE\r\n{tag} OK\r\n"
    async with client(ScriptedImap({"CAPABILITY": [before, after]})) as one:
        assert "IDLE" in one.capabilities


@pytest.mark.asyncio
async def test_a_server_that_knows_the_client_already_is_sent_no_password() -> None:
    server = ScriptedImap(greeting=b"* PREAUTH welcome\r\n")
    async with client(server):
        assert server.commands == ["CAPABILITY"]


@pytest.mark.asyncio
async def test_preauth_under_starttls_is_an_error_and_nothing_is_sent(tls_server: ssl.SSLContext) -> None:
    server = ScriptedImap(greeting=b"* PREAUTH welcome\r\n", tls=tls_server)
    assert "PREAUTH" in str(await refusal(server, tls="starttls"))
    assert server.commands == []


@pytest.mark.asyncio
async def test_clear_text_behind_the_answer_to_starttls_is_discarded(
    tls_server: ssl.SSLContext, tmp_path: Path
) -> None:
    injected = b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nIGNORED OK\r\n* BYE\r\n* half a line"
    server = ScriptedImap(tls=tls_server, injected=injected)
    async with client(server, tls="starttls", tls_ca=tmp_path / "ca.pem", connect_timeout="5s") as one:
        assert "IDLE" in one.capabilities
        assert "LOGINDISABLED" not in one.capabilities
        assert server.commands[0] == "STARTTLS"
        assert server.commands[-1] == "CAPABILITY"


@pytest.mark.asyncio
async def test_without_starttls_no_password_is_sent() -> None:
    server = ScriptedImap({"STARTTLS": b"{tag} NO not here\r\n"})
    assert "offers no STARTTLS" in str(await refusal(server, tls="starttls"))
    assert server.commands == ["STARTTLS"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        (Close(b"* BYE too many connections\r\n"), "too many connections"),
        (Close(), "lost"),
        (b"220 smtp.example.org ESMTP\r\n", "no IMAP server, it says: 220 smtp.example.org"),
        (Hang(), "did not answer within"),
        (Hang(b"* OK half a line"), "did not answer within"),
    ],
)
async def test_a_server_that_does_not_greet_is_named(greeting: Answer, words: str) -> None:
    assert words in str(await refusal(ScriptedImap(greeting=greeting), **IMPATIENT))


Step = Callable[[Client], Awaitable[object]]
STEPS: dict[str, Step] = {
    "LIST": lambda one: one.folders(),
    "EXAMINE": lambda one: one.examine("INBOX"),
    "UID SEARCH": lambda one: one.search("UID", "1:*"),
    "UID FETCH": lambda one: one.fetch("1:*", "(UID)"),
    "FETCH": lambda one: one.fetch_by_number("1", "(UID)"),
    "NOOP": lambda one: one.noop(),
    "IDLE": lambda one: one.idle(10),
}


async def failure(step: str, answer: Answer) -> SourceError:
    """What a command fails with, and the connection with it."""
    async with client(ScriptedImap({step: answer}), **(IMPATIENT if isinstance(answer, Hang) else {})) as one:
        if step != "EXAMINE":
            await one.examine("INBOX")
        with pytest.raises(SourceError) as caught:
            await STEPS[step](one)
        with pytest.raises(SourceError) as after:
            await one.noop()
        assert not isinstance(after.value, CommandRefused)
        return caught.value


@pytest.mark.asyncio
@pytest.mark.parametrize("step", STEPS)
async def test_a_server_that_falls_silent_is_noticed_at_every_step(step: str) -> None:
    assert f"did not answer {step.removeprefix('UID ')} within 0.3 s" in str(await failure(step, Hang()))


@pytest.mark.asyncio
@pytest.mark.parametrize("step", STEPS)
async def test_a_goodbye_at_any_step_is_an_error_with_its_words(step: str) -> None:
    assert "shutting down" in str(await failure(step, Close(b"* BYE shutting down\r\n")))


@pytest.mark.asyncio
@pytest.mark.parametrize("step", STEPS)
async def test_a_lost_connection_is_noticed_at_once_at_any_step(step: str) -> None:
    assert "lost" in str(await failure(step, Close()))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(Hang(b"* 1 FETCH (BODY[] {5000}\r\n" + b"x" * 400), "did not answer", id="a literal without end"),
        pytest.param(b"* 1 FETCH (BODY[] {99999999}\r\n", "more than", id="a literal that is too large"),
        pytest.param(b"X9 OK who asked?\r\n", "not given", id="an answer to nothing"),
        pytest.param(b"* 1 FETCH (UID\r\n{tag} OK\r\n", "unpaired", id="an answer that cannot be read"),
    ],
)
async def test_what_is_no_imap_ends_the_connection(answer: Answer, words: str) -> None:
    assert words in str(await failure("UID FETCH", answer))


@pytest.mark.asyncio
async def test_an_idle_that_is_not_ended_is_noticed() -> None:
    async with client(ScriptedImap({"IDLE": Hang(b"+ idling\r\n")}), **IMPATIENT) as one:
        await one.examine("INBOX")
        with pytest.raises(SourceError, match="did not answer IDLE"):
            await one.idle(0.05)


@pytest.mark.asyncio
async def test_an_answer_that_is_refused_leaves_the_connection_as_it_was() -> None:
    async with client(ScriptedImap({"EXAMINE": [b"{tag} NO no such mailbox\r\n", None]})) as one:
        with pytest.raises(CommandRefused, match="no such mailbox"):
            await one.examine("INBOX")
        assert (await one.examine("INBOX")).uidvalidity == 42


@pytest.mark.asyncio
async def test_a_folder_without_uidvalidity_is_refused() -> None:
    async with client(ScriptedImap({"EXAMINE": b"* 1 EXISTS\r\n{tag} OK\r\n"})) as one:
        with pytest.raises(CommandRefused, match="UIDVALIDITY"):
            await one.examine("INBOX")


@pytest.mark.asyncio
async def test_a_push_glued_to_the_answer_before_is_not_lost() -> None:
    glued = b"+ idling\r\n* 7 EXISTS\r\n"
    async with client(ScriptedImap({"IDLE": glued, "NOOP": b"{tag} OK\r\n* 9 EXISTS\r\n"})) as one:
        await one.examine("INBOX")
        with pytest.raises(SourceError):
            await one.idle(10)  # returns at the push; the server then does not understand DONE
        assert one.exists == 7
    async with client(ScriptedImap({"NOOP": b"{tag} OK\r\n* 9 EXISTS\r\n* 2 EXPUNGE\r\n"})) as one:
        await one.examine("INBOX")
        await one.noop()
        assert one.exists == 8


@pytest.mark.asyncio
async def test_idle_ends_when_new_mail_is_told() -> None:
    server = ScriptedImap()
    async with client(server) as one:
        await one.examine("INBOX")
        waiting = asyncio.create_task(one.idle(60))
        await asyncio.sleep(0.01)
        server.push(b"* OK still here\r\n")
        server.add("INBOX", 1, b"Subject: x\r\n\r\n")
        await asyncio.wait_for(waiting, 5)
        assert one.exists == 1
        assert server.commands[-1] == "DONE"


@pytest.mark.asyncio
async def test_a_server_that_refuses_idle_is_asked_instead() -> None:
    server = ScriptedImap({"IDLE": b"{tag} BAD unknown\r\n"})
    async with client(server) as one:
        await one.examine("INBOX")
        await one.idle(0.05)
        await one.idle(0.05)
        assert server.commands[-2:] == ["IDLE", "NOOP"]


@pytest.mark.asyncio
async def test_two_tasks_cannot_use_one_connection() -> None:
    async with client(ScriptedImap({"NOOP": Hang()}), **IMPATIENT) as one:
        first = asyncio.create_task(one.noop())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            await one.noop()
        with pytest.raises(SourceError):
            await first


@pytest.mark.asyncio
async def test_a_cancelled_command_ends_the_connection() -> None:
    async with client(ScriptedImap({"NOOP": Hang()})) as one:
        task = asyncio.create_task(one.noop())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(SourceError, match="closed"):
            await one.noop()


@pytest.mark.asyncio
async def test_answers_on_one_message_are_united_and_pushes_of_flags_do_no_harm() -> None:
    answer = (
        b"* 1 FETCH (UID 5 FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS ())\r\n"
        b"* 1 FETCH (UID 5 BODY[] {2}\r\nhi RFC822.SIZE 2)\r\n* 1 FETCH (UID 5 FLAGS ())\r\n{tag} OK\r\n"
    )
    async with client(ScriptedImap({"UID FETCH": answer})) as one:
        await one.examine("INBOX")
        assert await one.fetch("5", "(UID BODY.PEEK[])") == [Fetched(5, 2, None, b"hi")]


@pytest.mark.asyncio
async def test_special_uses_are_asked_for_and_done_without() -> None:
    server = ScriptedImap(capabilities=b"IMAP4rev1 SPECIAL-USE LIST-EXTENDED")
    server.answers = {"LIST": lambda words: b"{tag} BAD what\r\n" if "RETURN" in words else None}
    async with client(server) as one:
        assert [folder.name for folder in await one.folders()] == ["INBOX", "Sent"]
        assert server.commands[-2:] == ['LIST "" "*" RETURN (SPECIAL-USE)', 'LIST "" "*"']


@pytest.mark.asyncio
async def test_nothing_listens() -> None:
    server = ScriptedImap()
    async with scripted_imap(server):
        pass
    one = settings(port=server.port)
    with pytest.raises(SourceError, match="nothing listens there"):
        await Client.open(one, "pw", None, now=lambda: datetime.now(UTC), beat=lambda: None)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("host", "words"), [("imap.invalid", "the name was not found"), ("imap..example", "cannot be the name")]
)
async def test_a_host_that_cannot_be_found_is_named(host: str, words: str) -> None:
    one = settings(host=host, allow_plaintext=True)
    with pytest.raises(SourceError, match=words):
        await Client.open(one, "pw", None, now=lambda: datetime.now(UTC), beat=lambda: None)


@pytest.mark.asyncio
@pytest.mark.parametrize("uidvalidity", [b"9" * 30, "٣".encode(), b"", b"-1"])
async def test_a_uidvalidity_that_is_no_number_is_refused(uidvalidity: bytes) -> None:
    answer = b"* OK [UIDVALIDITY " + uidvalidity + b"]\r\n{tag} OK\r\n"
    async with client(ScriptedImap({"EXAMINE": answer})) as one:
        with pytest.raises(CommandRefused, match="UIDVALIDITY"):
            await one.examine("INBOX")


@pytest.mark.asyncio
async def test_a_uid_that_no_number_can_hold_is_an_error() -> None:
    assert "a number that is none" in str(await failure("UID SEARCH", b"* SEARCH " + b"9" * 30 + b"\r\n{tag} OK\r\n"))
