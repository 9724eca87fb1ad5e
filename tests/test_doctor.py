"""What the doctor finds on real servers that are well, and on such as are set up wrongly."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.daemon import COMMAND, imap_account, maildir_account, write_config
from servers.dovecot import PASSWORD, USER, Dovecot, certificates, dovecot, free_ports
from servers.postfix import postfix
from sources.recorder import NO_STATE

from mdnwatch.sources import imap_arrival, imap_doctor
from mdnwatch.sources.base import Finding, Verdict
from mdnwatch.sources.imap_arrival import Posting
from mdnwatch.sources.imap_doctor import diagnose
from mdnwatch.sources.imap_settings import ImapSettings

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with dovecot() as one:
        yield one


def settings(server: Dovecot, **others: object) -> ImapSettings:
    table = {"name": "sales", "host": "localhost", "port": server.tls_port, "tls_ca": server.ca}
    table |= {"username": server.user, "password": server.password, "connect_timeout": "2s", **others}
    return ImapSettings.model_validate(table)


async def findings(account: ImapSettings, accounts: int = 1) -> list[Finding]:
    found: list[Finding] = []
    await diagnose(account, found.append, NO_STATE, accounts=accounts)
    return found


def about(found: list[Finding], verdict: Verdict) -> list[str]:
    return [finding.about for finding in found if finding.verdict is verdict]


async def only_fault(account: ImapSettings) -> Finding:
    """The one thing that is wrong; what is told to be done about it is never left out."""
    (fault,) = [finding for finding in await findings(account) if finding.verdict is Verdict.WRONG]
    assert fault.way_out
    return fault


@pytest.mark.asyncio
async def test_an_account_that_is_well_is_looked_at_from_dns_to_connections(server: Dovecot) -> None:
    found = await findings(settings(server))
    assert about(found, Verdict.WRONG) == about(found, Verdict.NOTE) == []
    looked_at = list(dict.fromkeys(finding.about for finding in found))
    assert looked_at == ["dns", "tcp", "tls", "login", "server", "idle", "sent", "folders", "connections"]
    said = {finding.about: finding.text for finding in found}
    assert "127.0.0.1" in said["dns"]
    assert "valid until" in said["tls"]
    assert said["server"].startswith("Dovecot")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("others", "place", "words"),
    [
        ({"host": "imap.example.invalid"}, "dns", "name"),
        ({"port": "unused"}, "tcp", "nothing listens there"),
        ({"port": "plain"}, "tls", 'the server answers with tls = "starttls"'),
        ({"tls": "starttls"}, "tls", 'the server answers with tls = "implicit"'),
        ({"tls_ca": None}, "tls", "issued by CN=The tests' authority"),
        ({"password": "wrong"}, "login", f"refused the password of {USER}"),
        ({"password": {"file": "/nonexistent"}}, "login", "No such file"),
        ({"sent": ["Gesendet"]}, "sent", "there is no folder Gesendet"),
        ({"folders": ["INBOX", "Reports"]}, "folders", "there is no folder Reports"),
    ],
)
async def test_what_is_set_up_wrongly_is_named(
    server: Dovecot, others: dict[str, object], place: str, words: str
) -> None:
    ports = {"unused": free_ports(1)[0], "plain": server.port}
    port = others.get("port")
    fault = await only_fault(settings(server, **{**others, **({"port": ports[str(port)]} if port else {})}))
    assert fault.about == place
    assert words in fault.text


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("host", "days", "verdict", "words"),
    [
        ("localhost", -3, Verdict.WRONG, "expired"),
        ("mail.example", 100, Verdict.WRONG, "it is for mail.example"),
        ("localhost", 5, Verdict.NOTE, "4 days more"),
    ],
    ids=["expired", "for another name", "soon to expire"],
)
async def test_a_certificate_is_judged(host: str, days: int, verdict: Verdict, words: str) -> None:
    with dovecot() as server:
        server.stop()
        certificates(server.base / "tls", host=host, days=days)
        server.start()
        (finding,) = [one for one in await findings(settings(server)) if one.about == "tls"]
    assert finding.verdict is verdict
    assert words in finding.text
    assert finding.way_out


@pytest.mark.asyncio
async def test_a_server_without_a_sent_folder_is_told_how_to_name_one() -> None:
    with dovecot(special_use={"Junk": "\\Junk"}) as server:
        fault = await only_fault(settings(server))
    assert fault.about == "sent"
    assert "sent = [" in fault.text


@pytest.mark.asyncio
async def test_a_limit_of_connections_is_found() -> None:
    with dovecot(extra="protocol imap {\n  mail_max_userip_connections = 2\n}\n") as server:
        found = await findings(settings(server))
    (note,) = [finding for finding in found if finding.verdict is Verdict.NOTE]
    assert note.about == "connections"
    assert note.text.startswith("no more than 2 at once")
    assert "mail_max_userip_connections" in note.way_out


@pytest.mark.asyncio
async def test_more_accounts_than_dovecot_has_inotify_instances_for_are_told(
    server: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "max_user_instances"
    limit.write_text("128\n")
    monkeypatch.setattr(imap_doctor, "INOTIFY_LIMIT", limit)
    assert about(await findings(settings(server), accounts=100), Verdict.NOTE) == []
    (note,) = [one for one in await findings(settings(server), accounts=120) if one.verdict is Verdict.NOTE]
    assert "looks every 30 s" in note.text
    assert "sysctl fs.inotify.max_user_instances=1024" in note.way_out


AUTH = """
service auth {{
  inet_listener {{
    port = {port}
  }}
}}
"""
SASL = """
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{port}
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = {tls}/cert.pem
smtpd_tls_key_file = {tls}/key.pem
"""


def run_doctor(config: Path, *words: str) -> tuple[int, str]:
    command = [str(COMMAND), "doctor", *words, "--config", str(config)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout or done.stderr


def account_with_smtp(server: Dovecot, port: int, **smtp: object) -> str:
    nested = {"host": "localhost", "port": port, "tls": "starttls", "tls_ca": str(server.ca), **smtp}
    table = "".join(f"{name} = {json.dumps(value)}\n" for name, value in nested.items())
    return f"{imap_account(server)}\n[accounts.smtp]\n{table}"


@pytest.fixture(scope="module")
def submission() -> Iterator[tuple[Dovecot, int]]:
    """A Dovecot, and the port of a Postfix that takes mail over TLS from those who know Dovecot's password."""
    (auth,) = free_ports(1)
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(dovecot(extra=AUTH.format(port=auth)))
        mta = stack.enter_context(postfix(one.lmtp_port, extra=SASL.format(port=auth, tls=one.base / "tls")))
        yield one, mta.port


def test_a_message_to_oneself_really_arrives_and_idle_is_measured(
    submission: tuple[Dovecot, int], tmp_path: Path
) -> None:
    server, port = submission
    status, output = run_doctor(write_config(tmp_path, account_with_smtp(server, port)), "--send", "--json")
    facts: dict[str, Any] = json.loads(output)
    texts = [finding["text"] for finding in facts["accounts"][0]["findings"]]
    assert (status, facts["ok"]) == (0, True), texts
    (arrived,) = [text for text in texts if text.startswith("it arrived in INBOX after ")]
    assert float(arrived.split()[5]) < 30
    (idle,) = [text for text in texts if text.startswith("the server told of it in IDLE ")]
    assert float(idle.split()[7]) < 30


@pytest.mark.parametrize(
    ("smtp", "words"),
    [
        ({"username": USER, "password": "wrong"}, f"refused the password of {USER}"),
        ({"username": ""}, f"does not take {USER}"),
        ({"tls_ca": "/etc/ssl/certs/ca-certificates.crt"}, "is not trusted"),
        ({"tls": "none"}, "AUTH"),
    ],
)
def test_an_smtp_server_that_does_not_take_the_message_is_named(
    submission: tuple[Dovecot, int], tmp_path: Path, smtp: dict[str, object], words: str
) -> None:
    server, port = submission
    status, output = run_doctor(write_config(tmp_path, account_with_smtp(server, port, **smtp)), "--send")
    assert status == 1
    assert "✗ message: " in output
    assert words in output
    assert PASSWORD not in output.split()


def test_people_are_told_what_to_do_account_by_account(server: Dovecot, tmp_path: Path) -> None:
    tables = (
        imap_account(server, "good"),
        imap_account(server, "bad", password="wrong"),
        maildir_account(tmp_path / "none", "local"),
    )
    config = write_config(tmp_path, *tables)
    status, output = run_doctor(config)
    assert status == 1
    lines = output.splitlines()
    assert [line for line in lines if line.startswith("account")] == ["account good", "account bad", "account local"]
    assert "      → put the right password in its place" in output
    status, output = run_doctor(config, "good")
    assert status == 0
    assert "account bad" not in output
    status, output = run_doctor(config, "goof")
    assert status == 1
    assert 'did you mean "good"' in output


def test_without_smtp_settings_a_message_cannot_be_sent_and_the_way_out_is_told(
    server: Dovecot, tmp_path: Path
) -> None:
    status, output = run_doctor(write_config(tmp_path, imap_account(server)), "--send")
    assert status == 1
    assert "[accounts.smtp]" in output


@pytest.mark.asyncio
@pytest.mark.parametrize("folder", ["Junk", None])
async def test_a_message_that_does_not_arrive_in_inbox_is_looked_for_elsewhere(
    server: Dovecot, monkeypatch: pytest.MonkeyPatch, folder: str | None
) -> None:
    monkeypatch.setattr(imap_arrival, "ARRIVAL_SECONDS", 0.5)
    message_id = f"<{folder}@mail.example>"

    async def send() -> None:
        if folder is not None:
            server.append(folder, f"Message-ID: {message_id}\r\n\r\nhello\r\n".encode())

    found: list[Finding] = []
    await diagnose(settings(server), found.append, NO_STATE, Posting(send, message_id))
    assert found[-1].about == "message"
    assert found[-1].verdict is (Verdict.WRONG if folder is None else Verdict.NOTE)
    assert "did not arrive" in found[-1].text if folder is None else "arrived in Junk" in found[-1].text
