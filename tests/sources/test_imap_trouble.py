"""What keeps an account from being read: how it is told, and how a server is spared meanwhile."""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from servers.scripted_imap import GREETING, Answer, Answers, Close, Hang, ScriptedImap, scripted_imap
from sources.recorder import Recorder, running
from sources.scripted import IMPATIENT, make_impatient, report, source, uids, watched

from mdnwatch.errors import Cause
from mdnwatch.model.outage import Trouble
from mdnwatch.sources.base import SourceState
from mdnwatch.sources.imap_trouble import cause_of_error
from mdnwatch.sources.logins import Logins


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    make_impatient(monkeypatch)


REFUSED = b"{tag} NO [AUTHENTICATIONFAILED] no\r\n"


def right_password(words: str) -> Answer | None:
    return None if words.endswith('"right"') else REFUSED


@pytest.mark.asyncio
async def test_a_refused_password_is_tried_again_only_when_another_one_is_in_its_place(tmp_path: Path) -> None:
    server, recorder = ScriptedImap({"LOGIN": right_password}), Recorder()
    secret = tmp_path / "password"
    secret.write_text("wrong")
    async with scripted_imap(server):
        one = source(server, recorder, password={"file": str(secret)})
        async with running(one):
            await recorder.until(lambda: one.health().state is SourceState.DOWN)
            assert "refused the password of alice@mail.example" in one.health().cause
            assert recorder.troubles[-1] == Trouble(Cause.PASSWORD_REFUSED, one.health().cause, lasting=True)
            # Written again, but no other password: dozens of attempts have room in this.
            secret.write_text("wrong\n")
            beats = recorder.beats
            await recorder.until(lambda: recorder.beats > beats + 50)
            assert server.connections == 1
            secret.unlink()
            secret.write_text("right")
            await recorder.until(lambda: one.health().state is SourceState.UP)
            assert server.connections == 2
            assert recorder.troubles[-1] is None


@pytest.mark.asyncio
async def test_a_password_whose_file_is_missing_is_tried_when_it_is_there(tmp_path: Path) -> None:
    server, recorder = ScriptedImap({"LOGIN": right_password}), Recorder()
    secret = tmp_path / "password"
    async with scripted_imap(server):
        one = source(server, recorder, password={"file": str(secret)})
        async with running(one):
            await recorder.until(lambda: one.health().state is SourceState.DOWN)
            assert recorder.troubles[-1] is not None
            assert recorder.troubles[-1].cause is Cause.SECRET_UNREADABLE
            secret.write_text("right")
            await recorder.until(lambda: one.health().state is SourceState.UP)
    assert server.connections == 1


@pytest.mark.asyncio
async def test_a_command_that_gives_the_refused_password_is_not_run_again(tmp_path: Path) -> None:
    server, recorder = ScriptedImap({"LOGIN": right_password}), Recorder()
    runs = tmp_path / "runs"
    command = ["sh", "-c", f"echo run >> {runs}; echo wrong"]
    async with scripted_imap(server), running(source(server, recorder, password={"command": command})):
        await recorder.until(lambda: recorder.troubles != [])
        beats = recorder.beats
        await recorder.until(lambda: recorder.beats > beats + 50)
    assert runs.read_text() == "run\n"
    assert server.connections == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("greeting", "answers", "cause"),
    [
        (Close(b"* BYE Too many connections from your IP\r\n"), {}, Cause.TOO_MANY_CONNECTIONS),
        (Close(b"* BYE [UNAVAILABLE] shutting down\r\n"), {}, Cause.UNAVAILABLE),
        (Close(b"SSH-2.0-OpenSSH_9.2\r\n"), {}, Cause.PROTOCOL),
        (Close(), {}, Cause.CONNECTION_LOST),
        (Hang(), {}, Cause.SILENT),
        (GREETING, {"LOGIN": b"{tag} NO [ALERT] Too many simultaneous connections. (Failure)\r\n"},
         Cause.TOO_MANY_CONNECTIONS),
        (GREETING, {"LOGIN": b"{tag} NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded\r\n"},
         Cause.TOO_MANY_CONNECTIONS),
        (GREETING, {"LOGIN": b"{tag} NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)\r\n"},
         Cause.THROTTLED),
        (GREETING, {"LOGIN": b"{tag} NO [ALERT] Invalid credentials (Failure)\r\n"}, Cause.PASSWORD_REFUSED),
        (GREETING, {"IDLE": Close(b"+ idling\r\n* BYE Request is throttled. Suggested Backoff Time: 65193 ms\r\n")},
         Cause.THROTTLED),
        (GREETING, {"LIST": b'* LIST () "/" Other\r\n{tag} OK\r\n', "EXAMINE": b"{tag} NO no such mailbox\r\n"},
         Cause.OTHER),
    ],
)  # fmt: skip
async def test_each_trouble_is_told_by_its_cause(greeting: Answer, answers: Answers, cause: Cause) -> None:
    server, recorder = ScriptedImap(answers, greeting=greeting), Recorder()
    async with scripted_imap(server), running(source(server, recorder, **IMPATIENT)):
        await recorder.until(lambda: any(trouble is not None for trouble in recorder.troubles))
    told = [trouble.cause for trouble in recorder.troubles if trouble is not None]
    assert told[0] is cause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (socket.gaierror(-2, "Name or service not known"), Cause.NAME_NOT_FOUND),
        (ConnectionRefusedError(), Cause.CONNECTION_REFUSED),
        (ConnectionResetError(), Cause.CONNECTION_LOST),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), Cause.UNREACHABLE),
        (ssl.SSLCertVerificationError(), Cause.CERTIFICATE),
        (ssl.SSLError(), Cause.TLS),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_error_of_the_network_has_its_cause(error: OSError, cause: Cause) -> None:
    assert cause_of_error(error) is cause


@pytest.mark.asyncio
async def test_a_named_folder_that_goes_away_is_trouble_until_it_is_back() -> None:
    server, recorder = ScriptedImap(mailboxes={"INBOX": {}, "Sent": {}, "Reports": {}}), Recorder()
    server.answers = {"EXAMINE": lambda words: None if words.strip('"') in server.mailboxes else b"{tag} NO gone\r\n"}
    async with watched(server, recorder, folders=["INBOX", "Reports"]):
        await recorder.until(lambda: recorder.troubles[-1:] == [None])
        del server.mailboxes["Reports"]
        await recorder.until(lambda: recorder.troubles[-1] is not None)
        assert recorder.troubles[-1] == Trouble(Cause.FOLDER_GONE, "there is no folder Reports")
        server.mailboxes["Reports"] = {}
        await recorder.until(lambda: recorder.troubles[-1] is None)


@pytest.mark.asyncio
async def test_five_hundred_accounts_do_not_storm_a_server_that_comes_back() -> None:
    per_second, accounts = 250.0, 500
    server, recorder = ScriptedImap(greeting=Close(b"* BYE restarting\r\n")), Recorder()
    recorder.logins = Logins(per_second=per_second, per_host=accounts)
    async with scripted_imap(server), AsyncExitStack() as stack:
        # More than one look at the table of connections is made before all have failed once.
        ones = [source(server, recorder, name=f"a{number}", idle_renewal="20s") for number in range(accounts)]
        for one in ones:
            await stack.enter_async_context(running(one))
        await recorder.until(lambda: all(one.health().state is SourceState.DOWN for one in ones), patience=60)
        server.greeting = GREETING
        server.arrivals.clear()
        await recorder.until(lambda: all(one.health().state is SourceState.UP for one in ones), patience=60)
    assert len(server.arrivals) >= accounts
    # Load only makes it last longer; what has waited for the processor arrives together, hence the half.
    assert server.arrivals[accounts - 1] - server.arrivals[0] >= accounts / per_second / 2


@pytest.mark.asyncio
async def test_an_account_without_a_place_at_the_host_says_so_and_gets_the_next_one() -> None:
    server, recorder = ScriptedImap(), Recorder()
    recorder.logins = Logins(per_second=1000.0, per_host=1)
    async with scripted_imap(server):
        first_one, second_one = (source(server, recorder, name=name) for name in ("one", "two"))
        async with running(second_one):
            async with running(first_one):
                await recorder.until(lambda: Cause.TOO_MANY_CONNECTIONS in _causes(recorder))
                up = [one.health().state is SourceState.UP for one in (first_one, second_one)]
                assert up.count(True) <= 1
            await recorder.until(lambda: second_one.health().state is SourceState.UP)


def _causes(recorder: Recorder) -> list[Cause]:
    return [trouble.cause for trouble in recorder.troubles if trouble is not None]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("greeting", "capabilities", "identity"),
    [
        (b"* OK [CAPABILITY IMAP4rev1 IDLE] Courier-IMAP ready.\r\n", b"IMAP4rev1 IDLE", b"NIL"),
        (GREETING, b"IMAP4rev1 IDLE ID", b'("name" "Courier-IMAP" "version" "5.0")'),
        (GREETING, b"IMAP4rev1", b"NIL"),
    ],
    ids=["slow by its greeting", "slow by its ID", "no IDLE at all"],
)
async def test_a_server_that_tells_late_or_never_is_polled(
    greeting: bytes, capabilities: bytes, identity: bytes
) -> None:
    server, recorder = ScriptedImap(greeting=greeting, capabilities=capabilities), Recorder()
    server.answers = {"ID": b"* ID " + identity + b"\r\n{tag} OK\r\n"}
    async with watched(server, recorder, idle_renewal="20s"):
        server.mailboxes["INBOX"][1] = report(1)  # and nobody is told
        await recorder.until(lambda: uids(recorder) == [1])


@pytest.mark.asyncio
async def test_a_server_without_quirks_is_left_in_peace_until_the_renewal() -> None:
    server, recorder = ScriptedImap(), Recorder()
    async with watched(server, recorder, idle_renewal="20s"):
        await recorder.until(lambda: "IDLE" in server.commands)
        commands = len(server.commands)
        beats = recorder.beats
        await recorder.until(lambda: recorder.beats > beats)
        server.add("INBOX", 1, report(1))
        await recorder.until(lambda: uids(recorder) == [1])
        assert "NOOP" not in server.commands[commands:]
