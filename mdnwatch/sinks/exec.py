"""Sink `exec`: a program for each event, which stands on its standard input; no shell, no event data in arguments."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, field_validator

from mdnwatch.errors import ConfigError
from mdnwatch.model.notification import Outcome, Outgoing, Verdict
from mdnwatch.model.text import clean
from mdnwatch.problems import quoted
from mdnwatch.settings import Secret
from mdnwatch.sinks.base import MAX_CONCURRENCY, SinkSettings

KIND = "exec"

# Programs at once: they cost more than requests.
DEFAULT_PROGRAMS = 4

# Of what a program says, so much is kept, and so much told as the cause; the rest is read and thrown away.
MAX_OUTPUT_BYTES = 4096
MAX_CAUSE_BYTES = 300

# Seconds. A program that has ended may have left words in the pipe; a child of its that holds it open has not.
LAST_WORDS_SECONDS = 0.5

# sysexits.h: a failure that is not the input's; trying again later may help.
EX_TEMPFAIL = 75

# All that a program gets of the daemon's environment: no credentials, no secrets.
PASSED_ON = ("PATH", "HOME", "LANG", "TZ")


class ExecSettings(SinkSettings):
    """One `[[sinks]]` table of kind "exec"."""

    kind: Literal["exec"] = "exec"
    command: Annotated[
        tuple[str, ...],
        Field(
            min_length=1,
            description="The program and its arguments; no shell reads them.",
            examples=[["/usr/local/bin/told"]],
        ),
    ]
    environment: Annotated[
        dict[str, Secret], Field(description="Variables for the program, beside PATH, HOME, LANG and TZ.")
    ] = {}  # noqa: RUF012 - pydantic copies it
    concurrency: Annotated[
        int, Field(ge=1, le=MAX_CONCURRENCY, description="Programs at once, each for an event of another recipient.")
    ] = DEFAULT_PROGRAMS

    @field_validator("environment")
    @classmethod
    def _usable_names(cls, environment: dict[str, Secret]) -> dict[str, Secret]:
        for name in environment:
            if not name or "=" in name or "\0" in name:
                raise ValueError(f"{quoted(name)} is no name of a variable")
        return environment


class _Program:
    """A program under way: `exited` when it has ended, `silent` when neither it nor a child of its can write more.

    Watched by its descriptors on the loop, so that it needs no thread, and no signal handler.
    """

    def __init__(self, command: Sequence[str], line: bytes, environment: Mapping[str, str]) -> None:
        """Start it, with the line as its standard input. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self.silent: asyncio.Future[None] = self._loop.create_future()
        self.output = bytearray()
        with _holding(line) as stdin:
            self._process = subprocess.Popen(  # noqa: S603 - the configuration's owner named this program
                command,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd="/",
                # A group of its own, so that its children can be ended with it.
                process_group=0,
            )
        self._stdout = self._process.stdout.fileno() if self._process.stdout else -1
        os.set_blocking(self._stdout, False)
        self._end = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._stdout, self._read)
        self._loop.add_reader(self._end, self._note_end)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            if data := os.read(self._stdout, 65536):
                self.output += data[: MAX_OUTPUT_BYTES - len(self.output)]
            else:
                self._loop.remove_reader(self._stdout)
                self.silent.set_result(None)

    def _note_end(self) -> None:
        self._loop.remove_reader(self._end)
        self.exited.set_result(None)

    def end(self) -> int:
        """Kill what is left of it and of its children; its exit status, negative for a signal."""
        self._loop.remove_reader(self._stdout)
        self._loop.remove_reader(self._end)
        # Either it lives, or somebody of its group does, who can still write: the number of the group is its own.
        if not (self.exited.done() and self.silent.done()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        os.close(self._end)
        if self._process.stdout:
            self._process.stdout.close()
        return self._process.wait()


@contextlib.contextmanager
def _holding(line: bytes) -> Iterator[int]:
    """A file in memory, to be read from its beginning: unlike a pipe nobody has to stand by and fill it."""
    file = os.memfd_create("event")
    try:
        os.write(file, line)
        os.lseek(file, 0, os.SEEK_SET)
        yield file
    finally:
        os.close(file)


class Exec:
    """The sink: a program and what it is started with."""

    def __init__(self, settings: ExecSettings, environment: Mapping[str, str]) -> None:
        self.settings = settings
        self._environment = environment
        self.identity = _identity(settings, environment)

    async def close(self) -> None:
        """Nothing to let go of."""

    async def send(self, notification: Outgoing) -> Outcome:
        """Run the program once, and judge its exit status."""
        seconds = self.settings.timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                return await self._run(notification.body + b"\n")
        except TimeoutError:
            return Outcome(Verdict.UNAVAILABLE, f"it did not end within {seconds:g} s, and was killed")
        except OSError as error:
            return Outcome(Verdict.UNAVAILABLE, f"{self.settings.command[0]} cannot be run: {error.strerror or error}")

    async def _run(self, line: bytes) -> Outcome:
        program = _Program(self.settings.command, line, self._environment)
        try:
            await program.exited
            await asyncio.wait([program.silent], timeout=LAST_WORDS_SECONDS)
        finally:
            status = program.end()
        return _judged(status, bytes(program.output))


def _judged(status: int, output: bytes) -> Outcome:
    if status == 0:
        return Outcome(Verdict.DELIVERED, "")
    said = clean(output.decode("utf-8", "replace"), MAX_CAUSE_BYTES)
    ended = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
    verdict = Verdict.UNAVAILABLE if status == EX_TEMPFAIL else Verdict.REJECTED
    return Outcome(verdict, f"{ended}: {said}" if said else ended)


def build(settings: ExecSettings, *, now: Callable[[], datetime]) -> Exec:  # noqa: ARG001 - events bear their time
    """The sink, with its secrets read (which may block). Raises ConfigError with every problem."""
    environment, problems = {name: os.environ[name] for name in PASSED_ON if name in os.environ}, []
    if shutil.which(settings.command[0]) is None:
        problems.append(f"sink {settings.name}: command: {settings.command[0]} is no program that can be run")
    for name, secret in settings.environment.items():
        try:
            environment[name] = secret.read()
        except ConfigError as error:
            problems += [f"sink {settings.name}: environment.{name}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return Exec(settings, environment)


SETTINGS = ExecSettings


def _identity(settings: ExecSettings, environment: Mapping[str, str]) -> str:
    digest = hashlib.sha256("\0".join(settings.command).encode())
    for name in sorted(settings.environment):
        digest.update(hmac.digest(environment[name].encode(), name.encode(), "sha256"))
    return digest.hexdigest()[:32]
