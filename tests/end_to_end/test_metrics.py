"""Prometheus asks a running daemon, and its own tool judges the answer."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from servers.background import BackgroundReceiver
from servers.daemon import COMMAND, maildir_account, running, until, write_config
from servers.dovecot import free_ports
from servers.letters import deliver, maildir_name, make_maildir, sendmail_bounce, sent_copy, thunderbird_receipt

OFFER = "<offer@mail.example>"
BOB, GONE, FULL = "bob@mail.example", "gone@there.example", "full@there.example"

# By name and label values, in the order of the labels' names.
Samples = dict[tuple[str, tuple[str, ...]], float]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian's prometheus) is not installed"
)


def scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        text: str = answer.read().decode()
    return text


def samples(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples}


@needs_promtool
def test_what_became_of_reports_can_be_scraped(home: Path, receiver: BackgroundReceiver) -> None:
    maildir, port = make_maildir(home / "Maildir"), free_ports(1)[0]
    config = write_config(
        home, f'[metrics]\nlisten = "127.0.0.1:{port}"\n', maildir_account(maildir, poll_interval="50ms"), receiver.sink
    )
    with running(config):
        deliver(maildir / ".Sent", maildir_name(1), sent_copy(OFFER, [BOB, GONE, FULL]))
        deliver(maildir, maildir_name(2), thunderbird_receipt(OFFER, BOB))
        deliver(maildir, maildir_name(3), sendmail_bounce(OFFER, GONE, FULL))
        deliver(maildir, maildir_name(4), sendmail_bounce("<unknown@mail.example>", GONE, FULL))
        receiver.wait_for_events(3)

        def counted() -> Samples:
            return samples(scraped(port))

        until(lambda: counted().get(("mdnwatch_delivery_attempts_total", ("delivered", "receiver"))) == 3, counted)
        until(lambda: counted().get(("mdnwatch_reports_waiting", ("app",))) == 1, counted)
        text = scraped(port)
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    now, found = time.time(), samples(text)
    assert found["mdnwatch_messages_handled_total", ("app", "sent")] == 1
    assert found["mdnwatch_messages_handled_total", ("app", "mdn")] == 1
    assert found["mdnwatch_messages_handled_total", ("app", "dsn")] == 2
    assert found["mdnwatch_evidence_matched_total", ("original-message-id",)] == 1
    assert found["mdnwatch_evidence_matched_total", ("returned-message-id",)] == 2
    assert found["mdnwatch_evidence_graded_total", ("consistent",)] == 3
    assert found["mdnwatch_arrival_to_commit_seconds_count", ()] == 3
    assert found["mdnwatch_arrival_to_delivery_seconds_count", ("receiver",)] == 3
    assert found["mdnwatch_source_up", ("app",)] == found["mdnwatch_sink_up", ("receiver",)] == 1
    assert found["mdnwatch_outbox_waiting", ("receiver",)] == 0
    assert found["mdnwatch_outbox_oldest_seconds", ("receiver",)] == 0
    assert found["mdnwatch_wal_bytes", ()] > 0
    agreed = found["mdnwatch_folder_last_agreement_timestamp_seconds", ("app", "INBOX")]
    assert 0 <= now - agreed < 30


def test_an_address_that_is_taken_is_told_at_the_start(home: Path, receiver: BackgroundReceiver) -> None:
    maildir, taken = make_maildir(home / "Maildir"), receiver.receiver.port
    config = write_config(home, f'[metrics]\nlisten = "127.0.0.1:{taken}"\n', maildir_account(maildir), receiver.sink)
    done = subprocess.run([COMMAND, "run", "--config", config], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert f"metrics.listen: 127.0.0.1:{taken}: " in done.stderr
