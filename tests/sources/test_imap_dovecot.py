"""The IMAP source on a real Dovecot."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from servers.dovecot import Dovecot, certificates, dovecot
from sources.recorder import NO_STATE, Recorder, running

from mdnwatch.mail.wanted import wanted
from mdnwatch.model.received import Role
from mdnwatch.sources import imap
from mdnwatch.sources.base import SourceState
from mdnwatch.sources.imap import ImapSource

pytestmark = pytest.mark.servers

FOLDERS = ("INBOX", "Junk", "Sent", "Gesendete Objekte", 'a "quoted" name', "Ämter & Behörden")
ON_THE_WIRE = {'a "quoted" name': 'a \\"quoted\\" name', "Ämter & Behörden": "&AMQ-mter &- Beh&APY-rden"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is away is asked again soon."""
    monkeypatch.setattr("mdnwatch.sources.base.LONGEST_PAUSE_SECONDS", 0.3)


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Dovecot]:
    with dovecot(mailboxes=FOLDERS[3:]) as server:
        yield server


@pytest.fixture
def server(shared_server: Dovecot) -> Iterator[Dovecot]:
    """The server of this module, with empty folders."""
    yield shared_server
    shared_server.doveadm("expunge", "-u", shared_server.user, "mailbox", "*", "all")


def report(number: int) -> bytes:
    return f"From: bob@there.example\r\nSubject: report {number}\r\n\r\ndisplayed\r\n".encode()


def source(server: Dovecot, recorder: Recorder, **others: object) -> ImapSource:
    table = {"name": "sales", "host": server.host, "port": server.port, "tls": "none", "username": server.user}
    table |= {"password": server.password, **others}
    return imap.build(imap.SETTINGS.model_validate(table), recorder.context())


@asynccontextmanager
async def watched(server: Dovecot, recorder: Recorder, **others: object) -> AsyncIterator[ImapSource]:
    one = source(server, recorder, **others)
    async with running(one):
        await recorder.until(lambda: one.health().state is SourceState.UP)
        yield one


def subjects(recorder: Recorder, role: Role = Role.INBOX) -> list[str]:
    data = [message.data for message in recorder.messages if message.role is role]
    return [match[1].decode() for one in data if (match := re.search(rb"^Subject: (.*)\r$", one, re.MULTILINE))]


def snapshot(server: Dovecot) -> dict[str, str]:
    """All that anyone can see of the mailboxes: UIDs, flags, sizes, dates, MODSEQ, counters and folders."""
    words = ["uid", "flags", "size.physical", "date.received", "date.saved", "modseq", "hdr"]
    return {
        "folders": server.doveadm("mailbox", "list", "-u", server.user),
        "subscriptions": server.doveadm("mailbox", "list", "-u", server.user, "-s"),
        "status": server.doveadm("mailbox", "status", "-u", server.user, "all", "*"),
        "messages": server.doveadm("fetch", "-u", server.user, " ".join(words), "mailbox", "*", "all"),
        "files": "\n".join(sorted(str(path) for path in server.maildir().rglob("*:2,*"))),
    }


@pytest.mark.asyncio
async def test_a_report_delivered_by_lmtp_is_handed_over_once_with_its_place(server: Dovecot) -> None:
    recorder = Recorder()
    before = datetime.now(UTC) - timedelta(seconds=2)
    async with watched(server, recorder) as one:
        await asyncio.to_thread(server.deliver, report(1))
        await recorder.until(lambda: subjects(recorder) == ["report 1"])
        assert one.health().sent == "Sent (found by its special use \\Sent)"
    # Another life: nothing is handed over again.
    async with watched(server, recorder):
        await asyncio.to_thread(server.deliver, report(2))
        await recorder.until(lambda: "report 2" in subjects(recorder))
    assert subjects(recorder) == ["report 1", "report 2"]
    (first, second) = recorder.inbox
    assert (first.place.account, first.place.folder) == ("sales", "INBOX")
    assert second.place.uid == first.place.uid + 1
    assert first.place.uidvalidity == recorder.marks["sales", "INBOX"].uidvalidity > 0
    assert first.size == len(first.data)
    assert before < first.received_at < datetime.now(UTC) + timedelta(seconds=2)
    assert first.announce


@pytest.mark.asyncio
async def test_sent_mail_of_thirty_days_is_learnt_before_reports_are_read(server: Dovecot) -> None:
    now = datetime.now(UTC)
    for days in (400, 40, 29, 1):
        server.append("Sent", report(days), received=now - timedelta(days=days))
    recorder = Recorder()
    async with watched(server, recorder):
        assert subjects(recorder, Role.SENT) == ["report 1", "report 29"]
        assert all(message.data.endswith(b"\r\n\r\n") for message in recorder.sent)  # headers only
        server.append("Sent", report(0))
        await asyncio.to_thread(server.deliver, report(5))
        recorder.unmatched = 1
        await recorder.until(lambda: subjects(recorder, Role.SENT)[-1] == "report 0")
    assert len(recorder.sent) == 3


@pytest.mark.asyncio
async def test_sent_folders_without_special_use_are_found_by_name() -> None:
    recorder = Recorder()
    with dovecot(special_use={"Junk": "\\Junk"}, mailboxes=["Gesendete Objekte", "Sent Items"]) as server:
        async with watched(server, recorder) as one:
            found = sorted(one.health().sent.split("; "))
            assert found == ["Gesendete Objekte (found by its name)", "Sent Items (found by its name)"]


@pytest.mark.asyncio
async def test_folders_with_blanks_quotes_and_umlauts_are_watched(server: Dovecot) -> None:
    recorder = Recorder()
    async with watched(server, recorder, folders=["INBOX", *FOLDERS[4:]], idle_renewal="1s") as one:
        assert all(folder.found for folder in one.health().folders)
        for number, folder in enumerate(FOLDERS[4:]):
            server.append(ON_THE_WIRE[folder], report(number))
        await recorder.until(lambda: len(recorder.inbox) == 2)
    assert sorted(message.place.folder for message in recorder.inbox) == sorted(FOLDERS[4:])


@pytest.mark.asyncio
@pytest.mark.parametrize(("backfill", "expected"), [(None, []), ("30d", [29, 1]), ("all", [400, 40, 29, 1])])
async def test_the_first_run_goes_back_as_far_as_asked(
    server: Dovecot, backfill: str | None, expected: list[int]
) -> None:
    now = datetime.now(UTC)
    for days in (400, 40, 29, 1):
        server.append("INBOX", report(days), received=now - timedelta(days=days))
        server.append("Sent", report(days), received=now - timedelta(days=days))
    recorder = Recorder()
    async with watched(server, recorder, backfill=backfill) as one:
        await recorder.until(lambda: len(recorder.inbox) == len(expected))
        server.append("INBOX", report(0))
        await recorder.until(lambda: len(recorder.inbox) == len(expected) + 1)
        await recorder.until(
            lambda: all(folder.mark and not folder.mark.backfill_to for folder in one.health().folders)
        )
    assert subjects(recorder) == [*(f"report {days}" for days in reversed(expected)), "report 0"]
    assert [message.announce for message in recorder.inbox] == [False] * len(expected) + [True]
    # Sent goes as far back as reports are read, and 30 days at least.
    assert len(recorder.sent) == (4 if backfill == "all" else 2)


@pytest.mark.asyncio
async def test_the_mailbox_is_left_as_it_was() -> None:
    with dovecot() as server:
        for number in range(3):
            server.deliver(report(number))
            server.append("Sent", report(number))
            server.append("Junk", report(number), flags="\\Seen")
        with server.imap() as client:
            client.select("INBOX")
            client.store("2", "+FLAGS", "($Label1 \\Flagged)")
        before = snapshot(server)
        recorder = Recorder()
        async with watched(server, recorder, backfill="all", idle_renewal="100ms") as one:
            await recorder.until(lambda: len(recorder.messages) == 9)
            agreed = one.health().folders[0].last_agreement
            await recorder.until(lambda: one.health().folders[0].last_agreement != agreed)
        assert snapshot(server) == before


@pytest.mark.asyncio
async def test_a_restart_of_the_server_is_noticed_at_once_and_caught_up() -> None:
    recorder = Recorder()
    with dovecot() as server:
        async with watched(server, recorder) as one:
            await asyncio.to_thread(server.stop)
            await recorder.until(lambda: one.health().state is SourceState.DOWN)
            server.start()
            server.deliver(report(1))
            await recorder.until(lambda: subjects(recorder) == ["report 1"])
            assert one.health().state is SourceState.UP


@pytest.mark.asyncio
async def test_a_server_that_is_away_is_named_and_caught_up_with() -> None:
    recorder = Recorder()
    with dovecot() as server:
        async with watched(server, recorder) as one:
            server.deliver(report(1))
            await recorder.until(lambda: subjects(recorder) == ["report 1"])
            await asyncio.to_thread(server.stop)
            await recorder.until(lambda: "nothing listens there" in one.health().cause)
            since = one.health().since
            await asyncio.sleep(1)
            assert (one.health().state, one.health().since) == (SourceState.DOWN, since)
            server.start()
            for number in (2, 3, 4):
                server.deliver(report(number))
            await recorder.until(lambda: len(recorder.inbox) == 4)
    assert subjects(recorder) == [f"report {number}" for number in (1, 2, 3, 4)]


@pytest.mark.asyncio
async def test_a_server_frozen_in_idle_is_noticed_and_caught_up_with() -> None:
    recorder = Recorder()
    with dovecot() as server:
        times = {"idle_renewal": "500ms", "answer_timeout": "500ms", "connect_timeout": "1s"}
        async with watched(server, recorder, **times) as one:
            server.freeze()
            begun = time.monotonic()
            await recorder.until(lambda: one.health().state is SourceState.DOWN)
            # Renewal and deadline: with the defaults this is 110 seconds.
            assert time.monotonic() - begun < 10
            assert "did not answer" in one.health().cause
            server.thaw()
            server.deliver(report(1))
            await recorder.until(lambda: subjects(recorder) == ["report 1"])


def test_by_default_a_frozen_server_is_noticed_within_two_minutes() -> None:
    fields = imap.SETTINGS.model_fields
    assert fields["idle_renewal"].default + fields["answer_timeout"].default <= timedelta(minutes=2)
    assert fields["command_timeout"].default <= timedelta(minutes=2)


@pytest.mark.asyncio
async def test_a_lost_uidvalidity_has_the_last_month_read_anew() -> None:
    recorder = Recorder()
    with dovecot() as server:
        now = datetime.now(UTC)
        for days in (90, 3):
            server.append("INBOX", report(days), received=now - timedelta(days=days))
        async with watched(server, recorder):
            server.append("INBOX", report(0))
            await recorder.until(lambda: subjects(recorder) == ["report 0"])
        before = recorder.marks["sales", "INBOX"]
        for path in server.maildir().glob("dovecot*"):
            # Dovecot's own locks come and go while the last session ends.
            path.unlink(missing_ok=True)
        uidvalidity = str(before.uidvalidity + 7)
        server.doveadm("mailbox", "update", "-u", server.user, "--uid-validity", uidvalidity, "INBOX")
        async with watched(server, recorder):
            assert sorted(subjects(recorder)) == ["report 0", "report 0", "report 3"]
        after = recorder.marks["sales", "INBOX"]
    assert after.uidvalidity == before.uidvalidity + 7
    assert all(message.announce for message in recorder.inbox)


@pytest.mark.asyncio
async def test_a_lost_uidvalidity_is_noticed_in_the_middle_of_the_watch(server: Dovecot) -> None:
    recorder = Recorder()
    async with watched(server, recorder, idle_renewal="500ms"):
        server.append("Junk", report(1))
        await recorder.until(lambda: subjects(recorder) == ["report 1"])
        uidvalidity = recorder.marks["sales", "Junk"].uidvalidity + 7
        server.doveadm("mailbox", "update", "-u", server.user, "--uid-validity", str(uidvalidity), "Junk")
        await recorder.until(lambda: subjects(recorder) == ["report 1", "report 1"])
        assert recorder.marks["sales", "Junk"].uidvalidity == uidvalidity


@pytest.mark.asyncio
@pytest.mark.parametrize("password", ['two words "quoted" \\ and more', "größer als 日本", "{5}", "%u (x) *"])
async def test_every_password_is_sent_as_it_is(password: str) -> None:
    with dovecot(password=password) as server:
        async with watched(server, Recorder()):
            pass


@pytest.mark.asyncio
async def test_a_wrong_password_is_named_and_stands_nowhere(server: Dovecot, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    recorder = Recorder()
    one = source(server, recorder, password="wrong-and-secret")
    async with running(one):
        await recorder.until(lambda: one.health().state is SourceState.DOWN)
        assert f"refused the password of {server.user}" in one.health().cause
        told = f"{one.health()} {recorder.logged} {caplog.text}"
    assert "wrong-and-secret" not in told


@pytest.mark.asyncio
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_reports_arrive_over_tls(server: Dovecot, tls: str, host: str) -> None:
    recorder = Recorder()
    port = server.tls_port if tls == "implicit" else server.port
    async with watched(server, recorder, tls=tls, host=host, port=port, tls_ca=server.ca):
        await asyncio.to_thread(server.deliver, report(1))
        await recorder.until(lambda: subjects(recorder) == ["report 1"])


@pytest.mark.asyncio
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("trusted", ["the system's authorities", "another authority"])
async def test_a_certificate_of_a_stranger_is_refused_before_the_password_is_sent(
    server: Dovecot, tls: str, trusted: str, tmp_path: Path
) -> None:
    certificates(tmp_path)
    others = {"tls_ca": tmp_path / "ca.pem"} if trusted == "another authority" else {}
    port = server.tls_port if tls == "implicit" else server.port
    logins = server.log().count("Login: user=")
    one = source(server, recorder := Recorder(), tls=tls, port=port, **others)
    async with running(one):
        await recorder.until(lambda: one.health().state is SourceState.DOWN)
        assert "is not trusted" in one.health().cause
        assert "tls_ca" in one.health().cause
    assert server.log().count("Login: user=") == logins


@pytest.mark.asyncio
async def test_an_unreadable_tls_ca_is_named(server: Dovecot, tmp_path: Path) -> None:
    one = source(server, recorder := Recorder(), tls="implicit", port=server.tls_port, tls_ca=tmp_path / "none.pem")
    async with running(one):
        await recorder.until(lambda: one.health().state is SourceState.DOWN)
        assert "none.pem: No such file" in one.health().cause


@pytest.mark.asyncio
async def test_two_thousand_reports_at_once_are_each_handed_over_once(server: Dovecot) -> None:
    recorder = Recorder()
    async with watched(server, recorder):
        await asyncio.to_thread(server.drop, [report(number) for number in range(2000)])
        await recorder.until(lambda: len(recorder.inbox) >= 2000, patience=60)
        server.deliver(report(2000))
        await recorder.until(lambda: "report 2000" in subjects(recorder))
    assert sorted(subjects(recorder)) == sorted(f"report {number}" for number in range(2001))
    uids = [message.place.uid for message in recorder.inbox]
    assert uids == sorted(set(uids))


@pytest.mark.asyncio
async def test_mail_that_is_expunged_or_moved_while_it_is_read_does_no_harm(server: Dovecot) -> None:
    recorder = Recorder()
    async with watched(server, recorder, idle_renewal="300ms"):
        with server.imap() as client:
            client.select("INBOX")
            for number in range(0, 60, 3):
                await asyncio.to_thread(server.drop, [report(number), report(number + 1), report(number + 2)])
                client.noop()
                client.store("1", "+FLAGS", "\\Deleted")
                client.expunge()
                await asyncio.sleep(0.02)
        await asyncio.to_thread(server.deliver, report(999))
        await recorder.until(lambda: "report 999" in subjects(recorder))
    uids = [message.place.uid for message in recorder.inbox]
    assert uids == sorted(set(uids))
    with server.imap() as client:
        client.select("INBOX", readonly=True)
        left = set(map(int, client.uid("SEARCH", "ALL")[1][0].split()))
    assert left <= set(uids)


@pytest.mark.asyncio
async def test_a_folder_that_is_made_later_is_found(server: Dovecot) -> None:
    recorder = Recorder()
    try:
        async with watched(server, recorder, folders=["INBOX", "Later"], idle_renewal="300ms") as one:
            assert [folder.note for folder in one.health().folders if not folder.found] == ["there is no folder Later"]
            server.doveadm("mailbox", "create", "-u", server.user, "Later")
            # An old folder under another name holds mail that is not new.
            server.append("Later", report(99), received=datetime.now(UTC) - timedelta(hours=1))
            server.append("Later", report(1))
            await recorder.until(lambda: subjects(recorder) == ["report 1"])
            assert recorder.inbox[0].announce
            server.doveadm("mailbox", "delete", "-u", server.user, "Later")
            await recorder.until(lambda: not all(folder.found for folder in one.health().folders))
            server.append("INBOX", report(2))
            await recorder.until(lambda: subjects(recorder) == ["report 1", "report 2"])
    finally:
        with server.imap() as client:
            client.delete("Later")


@pytest.mark.asyncio
async def test_the_trial_says_what_the_server_can_do(server: Dovecot) -> None:
    server.append("INBOX", report(1))
    one = source(server, Recorder())._settings
    checked = await imap.check(one, NO_STATE)
    assert checked.ok
    assert checked.lines == (
        f"logged in at 127.0.0.1:{server.port} as alice@mail.example (without TLS)",
        "new mail is announced by the server (IDLE)",
        "folders tell their use (SPECIAL-USE)",
        "changes are numbered (CONDSTORE)",
        "Sent: 0 messages, read for sent mail, found by its special use \\Sent",
        "INBOX: 1 messages, read for reports, found as named",
        "Junk: 0 messages, read for reports, found by its special use \\Junk",
    )


@pytest.mark.asyncio
async def test_the_trial_names_what_is_wrong(server: Dovecot) -> None:
    wrong = await imap.check(source(server, Recorder(), password="wrong")._settings, NO_STATE)
    assert not wrong.ok
    assert "refused the password" in wrong.lines[0]
    nowhere = await imap.check(source(server, Recorder(), folders=["INBOX", "Nowhere"])._settings, NO_STATE)
    assert not nowhere.ok
    assert "there is no folder Nowhere" in nowhere.lines


def wrapped(number: int, *, text: int = 100, kind: bytes = b"disposition-notification") -> bytes:
    """A report in the wrapper of a gateway, below a header that tells nothing of it."""
    return b"\r\n".join(
        [
            b"From: bob@there.example",
            b"Subject: report %d" % number,
            b"MIME-Version: 1.0",
            b'Content-Type: multipart/mixed; boundary="g"',
            b"",
            b"--g",
            b"Content-Type: text/plain",
            b"",
            b"Scanned. " * (text // 9),
            b"--g",
            b'Content-Type: multipart/report; report-type=%s; boundary="r"' % kind,
            b"",
            b"--r",
            b"",
            b"It was read.",
            b"--r",
            b"Content-Type: message/%s" % kind,
            b"",
            b"Disposition: manual-action/MDN-sent-manually; displayed",
            b"",
            b"--r--",
            b"--g--",
            b"",
        ]
    )


@pytest.mark.asyncio
async def test_a_report_in_the_wrapper_of_a_gateway_is_found_among_new_and_old_mail(server: Dovecot) -> None:
    recorder = Recorder(wanted=wanted)
    ordinary = wrapped(7, kind=b"x-other")
    for message in (wrapped(1), wrapped(2, text=50_000), ordinary, report(8)):
        server.append("INBOX", message)
    async with watched(server, recorder, backfill="all"):
        await recorder.until(lambda: sorted(subjects(recorder)) == ["report 1", "report 2"])
        for message in (ordinary, report(9), wrapped(3), wrapped(4, text=50_000)):
            server.append("INBOX", message)
        await recorder.until(lambda: len(subjects(recorder)) == 4)
    assert sorted(subjects(recorder)) == [f"report {number}" for number in (1, 2, 3, 4)]
    assert all(b"Disposition: " in message.data for message in recorder.inbox)
