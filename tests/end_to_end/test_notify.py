"""What the daemon tells, on a real desktop: dunst in an X server without a screen."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import COMMAND, maildir_account, running, until, write_config
from servers.desktop import MISSING, Notification, Screen, desktop
from servers.letters import deliver, maildir_name, make_maildir, sendmail_bounce, sent_copy, thunderbird_receipt

OFFER = "<offer@mail.example>"
BOB, GONE, FULL = "bob@mail.example", "gone@there.example", "full@there.example"

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.fixture
def screen(home: Path) -> Iterator[Screen]:
    with desktop(home) as made:
        yield made


@pytest.fixture
def maildir(home: Path, receiver: BackgroundReceiver) -> Iterator[Path]:
    """A watched Maildir in which the copy of an offer to three lies."""
    made = make_maildir(home / "Maildir")
    deliver(made / ".Sent", maildir_name(0), sent_copy(OFFER, [BOB, GONE, FULL]))
    with running(write_config(home, maildir_account(made, poll_interval="50ms"), receiver.sink)):
        yield made


@contextlib.contextmanager
def notifying(screen: Screen, home: Path, *options: str | Path) -> Iterator[subprocess.Popen[str]]:
    """`mdnwatch notify`, which has asked for what is new."""
    command: list[str | Path] = [COMMAND, "notify", "--socket", home / "mdnwatch.sock", *options]
    with subprocess.Popen(command, env=screen.environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            until((home / "state/mdnwatch/notified").exists, "the cursor", 20)
            yield process
        finally:
            process.terminate()


def shown(screen: Screen) -> list[Notification]:
    until(lambda: screen.displayed)
    return screen.put_away()


def test_a_failure_is_one_notification_that_stays_and_names_each_address(
    home: Path, maildir: Path, screen: Screen
) -> None:
    with notifying(screen, home):
        deliver(maildir, maildir_name(1), sendmail_bounce(OFFER, GONE, FULL))
        until(lambda: screen.displayed)
        if wanted := os.environ.get("SCREENSHOT"):
            screen.screenshot(Path(wanted))
        (notification,) = screen.put_away()
    assert notification.timeout == 0
    assert GONE in notification.body
    assert FULL in notification.body


def test_a_receipt_takes_the_place_of_what_was_shown_of_its_message(home: Path, maildir: Path, screen: Screen) -> None:
    with notifying(screen, home):
        deliver(maildir, maildir_name(1), sendmail_bounce(OFFER, GONE, FULL))
        until(lambda: screen.displayed)
        deliver(maildir, maildir_name(2), thunderbird_receipt(OFFER, BOB))
        until(lambda: (home / "state/mdnwatch/notified").read_text().strip() == "3")
        assert screen.displayed == 1
        (notification,) = screen.put_away()
    assert [line.partition(":")[0] for line in notification.body.splitlines()] == [BOB, FULL, GONE]


def test_markup_in_what_others_say_is_text(home: Path, maildir: Path, screen: Screen) -> None:
    bounce = sendmail_bounce(OFFER, GONE, FULL).replace(
        b"Diagnostic-Code: SMTP; ", b"Diagnostic-Code: SMTP; <b>&amp;</b> "
    )
    with notifying(screen, home):
        deliver(maildir, maildir_name(1), bounce)
        (notification,) = shown(screen)
    assert "&lt;b&gt;&amp;amp;&lt;/b&gt;" in notification.body


def test_a_click_opens_what_is_known(home: Path, maildir: Path, screen: Screen) -> None:
    opener, opened = home / "opener", home / "opened"
    opener.write_text(f'#!/bin/sh\ncp "$1" {opened}.part && mv {opened}.part {opened}\n')
    opener.chmod(0o755)
    with notifying(screen, home, "--opener", opener):
        deliver(maildir, maildir_name(1), thunderbird_receipt(OFFER, BOB))
        until(lambda: screen.displayed)
        screen.dunstctl("action")
        until(opened.exists)
    text = opened.read_text()
    assert f"{BOB}: displayed" in text
    assert f"{GONE}: no evidence" in text


def test_what_was_told_while_nobody_was_there_is_shown_at_the_next_login(
    home: Path, maildir: Path, screen: Screen, receiver: BackgroundReceiver
) -> None:
    with notifying(screen, home):
        pass
    deliver(maildir, maildir_name(1), thunderbird_receipt(OFFER, BOB))
    receiver.wait_for_events(1)
    with notifying(screen, home):
        (notification,) = shown(screen)
    assert notification.body.startswith(f"{BOB}: displayed")


def test_a_flood_is_summed_up(home: Path, maildir: Path, screen: Screen, receiver: BackgroundReceiver) -> None:
    with notifying(screen, home):
        pass
    for number in range(1, 21):
        # dunst shows only one of several that are alike.
        message_id, reader = f"<{number}@mail.example>", f"reader-{number}@mail.example"
        deliver(maildir / ".Sent", maildir_name(2 * number), sent_copy(message_id, [reader]))
        deliver(maildir, maildir_name(2 * number + 1), thunderbird_receipt(message_id, reader))
    receiver.wait_for_events(20)
    with notifying(screen, home, "--per-minute", "3"):
        until(lambda: screen.displayed == 3)
        titles = [one.title for one in screen.put_away()]
    assert "18 more messages" in titles


def test_without_a_session_bus_it_says_what_to_do(home: Path) -> None:
    environ = {**os.environ, "HOME": str(home), "DBUS_SESSION_BUS_ADDRESS": f"unix:path={home}/nobody"}
    command: list[str | Path] = [COMMAND, "notify", "--socket", home / "mdnwatch.sock"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert "there is no session bus" in done.stderr
    assert "install-service --user" in done.stderr


def test_without_a_daemon_it_waits_for_one_and_says_so(home: Path, screen: Screen) -> None:
    command: list[str | Path] = [COMMAND, "notify", "--socket", home / "mdnwatch.sock"]
    with subprocess.Popen(command, env=screen.environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "no daemon listens" in process.stderr.readline()
        assert process.poll() is None
        process.terminate()
