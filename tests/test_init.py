"""`mdnwatch init` as a person meets it: at a terminal, with a real mail server, DNS server and webhook receiver."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver, receiving
from servers.daemon import COMMAND, PATIENCE_SECONDS
from servers.dns_server import dns_server
from servers.dovecot import Dovecot, dovecot
from servers.letters import sent_copy, thunderbird_receipt
from servers.terminal import Terminal, at_terminal

from mdnwatch import config as configuration
from mdnwatch.check import readable
from mdnwatch.init_files import default_config, default_state_dir
from mdnwatch.sinks.log import StatusLogSettings
from mdnwatch.sinks.webhook_settings import WebhookSettings
from mdnwatch.sources.imap_settings import ImapSettings

OFFER = "<offer-1@mail.example>"
BOB = "bob@there.example"

Option = str | Path


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Dovecot]:
    with dovecot() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[BackgroundReceiver]:
    with receiving() as background:
        yield background


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "config.toml"


def places(output: Path) -> list[Option]:
    """The options that keep everything within the test's directory."""
    return ["--output", output, "--state-dir", output.parent.parent / "state"]


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def init(*options: Option, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The command where nobody can be asked."""
    return subprocess.run(
        [COMMAND, "init", *options], input=stdin, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


def named(mailbox: Dovecot, output: Path) -> list[Option]:
    """All that has no default."""
    server = f"{mailbox.host}:{mailbox.port}"
    return ["--address", mailbox.user, "--server", server, "--tls", "none", "--password-stdin", *places(output)]


@pytest.mark.servers
def test_a_person_gets_from_an_address_to_the_first_event(
    mailbox: Dovecot, receiver: BackgroundReceiver, output: Path
) -> None:
    records = {"_imaps._tcp.mail.example": [f"0 1 {mailbox.tls_port} localhost."]}
    with dns_server(records) as dns:
        command = [COMMAND, "init", "--dns", dns.address, "--tls-ca", mailbox.ca, *places(output)]
        with at_terminal(command) as person:
            answer_everything(person, mailbox, receiver)
            see_the_first_event(person, mailbox, receiver, output)
    assert mailbox.password not in person.seen


def answer_everything(person: Terminal, mailbox: Dovecot, receiver: BackgroundReceiver) -> None:
    person.expect("Your address: ")
    person.type("alice")
    assert '"alice" is not an address' in person.expect("Your address: ")
    person.type(mailbox.user)
    told = person.expect("Is it your provider's? [y/N]: ")
    assert "localhost, which the SRV record _imaps._tcp.mail.example names, is not a part of mail.example" in told
    person.type("y")
    told = person.expect(f"Password of {mailbox.user}: ")
    assert f"localhost:{mailbox.tls_port} answers (TLS; SRV record _imaps._tcp.mail.example)" in told
    person.type("wrong")
    assert f"the server refused the password of {mailbox.user}" in person.expect(f"User name [{mailbox.user}]: ")
    person.type("")
    person.expect(f"Password of {mailbox.user}: ")
    person.type(mailbox.password)
    told = person.expect("everything too): ")
    assert "Sent: 0 messages, read for sent mail" in told
    person.type("ftp://crm.example.org")
    assert "url: must begin with https:// and a host" in person.expect("everything too): ")
    person.type(receiver.receiver.url)
    assert "plain http can be read and changed on the way" in person.expect("Is this address meant? [y/N]: ")
    person.type("y")


def see_the_first_event(person: Terminal, mailbox: Dovecot, receiver: BackgroundReceiver, output: Path) -> None:
    told = person.expect("Watch now, until the first event? [Y/n]: ")
    secret = (output.parent / "webhook.secret").read_text().strip()
    assert secret.startswith("whsec_")
    assert told.count(secret) == 1
    receiver.receiver.secrets = (secret,)
    # What lies in Sent is learnt when the watch begins; reports are those that come since.
    mailbox.append("Sent", sent_copy(OFFER, [BOB]))
    person.type("")
    person.expect("Watching until the first event; Ctrl-C ends it.")
    mailbox.deliver(thunderbird_receipt(OFFER, BOB))
    person.expect(BOB)
    person.expect("displayed")
    assert person.end() == 0
    assert [(one.fact, one.verified) for one in receiver.told] == [((OFFER, BOB, "recipient.displayed"), True)]


@pytest.mark.servers
def test_the_options_answer_every_question(mailbox: Dovecot, output: Path) -> None:
    webhook = "https://crm.example.org/hooks"
    done = init(*named(mailbox, output), "--webhook", webhook, stdin=f"{mailbox.password}\n")
    assert (done.returncode, done.stderr) == (0, "")
    directory, state = output.parent, output.parent.parent / "state"
    config = readable(output)
    (account,) = config.accounts
    assert isinstance(account, ImapSettings)
    assert (account.name, account.addresses, account.username) == ("alice", (mailbox.user,), mailbox.user)
    assert account.password is not None
    assert account.password.file == directory / "alice.password"
    log, crm = config.sinks
    assert isinstance(log, StatusLogSettings)
    assert log.path == state / "events.jsonl"
    assert isinstance(crm, WebhookSettings)
    assert (crm.url, crm.allow_private, crm.secrets[0].file) == (webhook, False, directory / "webhook.secret")
    assert {path.name: mode_of(path) for path in directory.iterdir()} == {
        "config.toml": 0o644,
        "alice.password": 0o600,
        "webhook.secret": 0o600,
    }
    assert account.password.read() == mailbox.password
    assert mailbox.password not in output.read_text().replace("password", "")
    assert not state.exists(), "nothing is run unless somebody says so"


@pytest.mark.servers
def test_ctrl_c_ends_the_watching_well(mailbox: Dovecot, output: Path, tmp_path: Path) -> None:
    password = tmp_path / "kept"
    password.write_text(mailbox.password)
    options = [option for option in named(mailbox, output) if option != "--password-stdin"]
    with at_terminal([COMMAND, "init", *options, "--password-file", password, "--webhook", "", "--run"]) as person:
        person.expect("Watching until the first event; Ctrl-C ends it.")
        person.process.send_signal(signal.SIGINT)
        assert person.end() == 0
    assert "Traceback" not in person.seen


@pytest.mark.servers
def test_a_password_that_is_kept_in_a_file_stays_there(mailbox: Dovecot, output: Path, tmp_path: Path) -> None:
    password = tmp_path / "kept"
    password.write_text(mailbox.password)
    options = [option for option in named(mailbox, output) if option != "--password-stdin"]
    done = init(*options, "--password-file", password)
    assert done.returncode == 0, done.stderr
    (account,) = configuration.load(output).accounts
    assert isinstance(account, ImapSettings)
    assert account.password is not None
    assert account.password.file == password
    assert [path.name for path in output.parent.iterdir()] == ["config.toml"]


@pytest.mark.servers
def test_nothing_is_written_over_unless_it_is_said(mailbox: Dovecot, output: Path) -> None:
    output.parent.mkdir()
    password = output.with_name("alice.password")
    for there in (output, password):
        there.write_text("kept")
        done = init(*named(mailbox, output), stdin=f"{mailbox.password}\n")
        assert (done.returncode, there.read_text()) == (1, "kept")
        words = "is there already: choose another place with --output, or say --force"
        assert done.stderr == f"mdnwatch: {there}: {words}\n"
        there.unlink()
    output.write_text("old")
    assert init(*named(mailbox, output), "--force", stdin=f"{mailbox.password}\n").returncode == 0
    assert readable(output).accounts[0].name == "alice"


@pytest.mark.servers
def test_a_refused_password_is_told_and_nothing_is_written(mailbox: Dovecot, output: Path) -> None:
    done = init(*named(mailbox, output), stdin="wrong\n")
    assert done.returncode == 1
    assert f"the server refused the password of {mailbox.user}" in done.stdout
    assert done.stderr == "mdnwatch: nothing was written: the account cannot be read\n"
    assert not output.parent.exists()


@pytest.mark.servers
def test_a_server_that_only_dns_vouches_for_gets_no_password_unasked(mailbox: Dovecot, output: Path) -> None:
    with dns_server({"_imaps._tcp.mail.example": [f"0 1 {mailbox.tls_port} localhost."]}) as dns:
        options: list[Option] = [
            "--address",
            mailbox.user,
            "--dns",
            dns.address,
            "--tls-ca",
            mailbox.ca,
            "--password-stdin",
        ]
        done = init(*options, *places(output), stdin=f"{mailbox.password}\n")
    assert done.returncode == 1
    assert f"say yes by --server localhost:{mailbox.tls_port}" in done.stderr
    assert not output.parent.exists()


@pytest.mark.servers
def test_a_server_that_is_named_is_tried_at_its_port_with_starttls_and_with_its_certificate(
    mailbox: Dovecot, output: Path
) -> None:
    server: list[Option] = ["--server", f"localhost:{mailbox.port}", "--tls", "starttls", "--tls-ca", mailbox.ca]
    options: list[Option] = ["--address", mailbox.user, *server, "--password-stdin", *places(output)]
    done = init(*options, stdin=f"{mailbox.password}\n")
    assert done.returncode == 0, done.stderr
    assert f"localhost:{mailbox.port} answers (STARTTLS; as named)" in done.stdout
    untrusted = [option for option in options if option not in ("--tls-ca", mailbox.ca)]
    done = init(*untrusted, "--force", stdin=f"{mailbox.password}\n")
    assert done.returncode == 1
    assert f"the certificate of localhost:{mailbox.port} is not trusted" in done.stdout


@pytest.mark.servers
def test_at_a_terminal_a_server_that_is_not_found_can_be_named(mailbox: Dovecot, output: Path) -> None:
    # No name below this one exists (RFC 6761 §6.4).
    address = "alice@mail.invalid"
    options: list[Option] = [
        "--address",
        address,
        "--username",
        mailbox.user,
        "--tls",
        "starttls",
        "--tls-ca",
        mailbox.ca,
    ]
    with (
        dns_server({}) as dns,
        at_terminal([COMMAND, "init", "--dns", dns.address, *options, "--webhook", "", *places(output)]) as person,
    ):
        told = person.expect("IMAP server (HOST or HOST:PORT): ")
        assert "imap.mail.invalid:143" in told
        person.type(f"127.0.0.1:{mailbox.port}")
        person.expect(f"Password of {mailbox.user}: ")
        person.type(mailbox.password)
        person.expect("Watch now, until the first event? [Y/n]: ")
        person.type("n")
        assert person.end() == 0
    (account,) = readable(output).accounts
    assert isinstance(account, ImapSettings)
    assert (account.username, account.addresses) == (mailbox.user, (address,))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "Your address? Nobody can be asked here: say it by --address"),
        (("--address", "alice"), '--address: "alice" is not an address'),
        (("--address", "a@b.invalid", "--server", "127.0.0.1:1"), "no IMAP server that answers was found for b."),
        (("--address", "a@b.invalid", "--server", "h:port"), "h:port names no server: write HOST or HOST:PORT"),
        (("--address", "a@b.invalid", "--tls", "ssl"), '--tls: "ssl" is not one of implicit, starttls, none'),
        (("--address", "a@b.invalid", "--server", "mx.b.invalid", "--tls", "none"), 'tls: "none" would send'),
        (("--address", "a@b.invalid", "--dns", "nowhere"), "--dns: nowhere is no IP address of a DNS server"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_told_with_the_way_out(output: Path, options: tuple[str, ...], words: str) -> None:
    done = init(*options, *places(output))
    assert done.returncode in (1, 78)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not output.parent.exists()


@pytest.mark.servers
def test_a_webhook_in_a_private_network_has_to_be_meant(mailbox: Dovecot, output: Path) -> None:
    webhook: list[Option] = [*named(mailbox, output), "--webhook", "http://10.0.0.7/hook"]
    done = init(*webhook, stdin=f"{mailbox.password}\n")
    assert done.returncode == 1
    assert "say yes by --allow-private" in done.stderr
    assert init(*webhook, "--allow-private", stdin=f"{mailbox.password}\n").returncode == 0
    assert "allow_private = true" in output.read_text()


def test_a_persons_files_lie_where_the_desktop_keeps_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert default_config() == tmp_path / ".config/mdnwatch/config.toml"
    assert default_state_dir() == tmp_path / ".local/state/mdnwatch"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/c")
    assert default_config() == Path("/c/mdnwatch/config.toml")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_config() == Path("/etc/mdnwatch/config.toml")
    assert default_state_dir() == Path("/var/lib/mdnwatch")
