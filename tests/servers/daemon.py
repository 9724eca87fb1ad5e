"""`mdnwatch run` as its users start it: the installed command in a process of its own, with a configuration file."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from servers.dovecot import Dovecot

from mdnwatch import local_api

T = TypeVar("T")

COMMAND = Path(sys.executable).with_name("mdnwatch")

# What has not come true by then has failed; nothing waits for it to pass.
PATIENCE_SECONDS = 20.0

# What the daemon promises.
STOP_SECONDS = 10.0

# Of a daemon's log, when a test fails.
LAST_LINES = 200

# Between two looks at a condition.
LOOK_SECONDS = 0.02


def until(condition: Callable[[], T], what: str | Callable[[], object] = "it", seconds: float = PATIENCE_SECONDS) -> T:
    """Wait until a condition holds; what it gave then. `what` is said when it does not come true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what if isinstance(what, str) else what()}")
        time.sleep(LOOK_SECONDS)
    return value


def table(heading: str, **values: object) -> str:
    """A table of a configuration: strings, numbers, booleans and lists are written in TOML as in JSON."""
    return f"[[{heading}]]\n" + "".join(f"{name} = {_value(value)}\n" for name, value in values.items())


def _value(value: object) -> str:
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def write_config(home: Path, *tables: str, **top: object) -> Path:
    """A configuration file in `home`, where the daemon's data and socket are, too."""
    top = {"state_dir": home / "state", "runtime_dir": home, **top}
    lines = "".join(f"{name} = {_value(value)}\n" for name, value in top.items())
    path = home / "config.toml"
    path.write_text("\n".join([lines, *tables]), "utf-8")
    path.chmod(0o600)
    return path


@dataclass
class Daemon:
    """A process of `mdnwatch run`, perhaps with another program in front that starts it."""

    config: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """All that this process and earlier ones with the same configuration have said."""
        return log_of(self.config).read_text("utf-8", "replace")

    def ask(self, query: str | None = None) -> dict[str, Any] | None:
        """What the daemon answers on its socket; None while nobody listens there."""
        return local_api.ask(self.config.with_name("mdnwatch.sock"), {"command": "status", "query": query})

    def wait_until_up(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until it reads every account."""
        until(lambda: self.process.poll() is not None or self._is_up(), lambda: f"up\n{self.log}", seconds)
        assert self.process.poll() is None, "the daemon ended by itself"

    def _is_up(self) -> bool:
        facts = self.ask()
        return facts is not None and all(account["state"] == "up" for account in facts["accounts"])

    def stop(self) -> float:
        """End it as systemd does; how many seconds that took. It has to end well, and in time."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_SECONDS)
        assert status == 0, f"exit status {status}"
        return time.monotonic() - began

    def kill(self) -> None:
        """End it as a power cut does. Whatever started it ends with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def temporary_files(config: Path) -> Path:
    """The directory for the temporary files of a configuration's daemons."""
    return config.with_name("tmp")


def log_of(config: Path) -> Path:
    """Where the daemons of a configuration write what they say."""
    return config.with_name("log")


def start(config: Path, *, before: Sequence[str] = ()) -> Daemon:
    """Start the daemon; `before` is a program with arguments that starts it in turn. To be ended by the caller."""
    temporary_files(config).mkdir(exist_ok=True)
    with log_of(config).open("ab") as log:
        process = subprocess.Popen(
            [*before, COMMAND, "run", "--config", config],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "TMPDIR": str(temporary_files(config))},
            # A group of its own, which can be ended without ending anything else.
            start_new_session=True,
        )
    return Daemon(config, process)


@contextlib.contextmanager
def running(config: Path, *, before: Sequence[str] = ()) -> Iterator[Daemon]:
    """A daemon, which has to live and to end well; when the test fails, what it said is shown."""
    daemon = start(config, before=before)
    try:
        daemon.wait_until_up()
        yield daemon
        if daemon.process.poll() is None:
            daemon.stop()
        assert '"exception"' not in daemon.log, "the daemon has met a defect"
    except BaseException:
        print(*daemon.log.splitlines()[-LAST_LINES:], sep="\n")  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        daemon.kill()


def status(config: Path, query: str | None = None) -> dict[str, Any]:
    """What `mdnwatch status [QUERY] --json` prints, whether the daemon runs or not."""
    words = [] if query is None else [query]
    command = [str(COMMAND), "status", *words, "--json", "--config", str(config)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def imap_account(server: Dovecot, name: str = "sales", **settings: object) -> str:
    """The table of the configuration for the mailbox of a test's Dovecot."""
    common = {"name": name, "host": server.host, "port": server.port, "tls": "none"}
    return table("accounts", **{**common, "username": server.user, "password": server.password, **settings})


def maildir_account(path: Path, name: str = "app", **settings: object) -> str:
    """The table of the configuration for a Maildir."""
    common = {"name": name, "kind": "maildir", "path": path, "addresses": ["alice@mail.example"]}
    return table("accounts", **{**common, **settings})
