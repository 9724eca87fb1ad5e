"""What the parts of the configuration share: a strict model, durations, sizes and secrets."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import signal
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from mdnwatch.errors import ConfigError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)")
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

# A password manager that asks a person who is not there would hold up the start for ever.
SECRET_COMMAND_SECONDS = 30


class Settings(BaseModel):
    """A table of the configuration: unknown keys are refused, values do not change once read."""

    # hide_input_in_errors: what stands in the file may be a secret in the wrong place.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value if isinstance(value, timedelta) else _refuse(value, _DURATION_HELP)
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        return _refuse(value, _DURATION_HELP)
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        return _refuse(value, "is longer than time can be counted")


def _size(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(match[1]) * _BYTES[match[2]] if match else _refuse(value, _SIZE_HELP)


_DURATION_HELP = 'is not a duration: write a number and a unit, like "90s", "5min", "2h" or "30d"'
_SIZE_HELP = 'is not a size: write a number and a unit, like "512KiB" or "1MiB"'


def _refuse(value: object, help_text: str) -> object:
    raise ValueError(f"{json.dumps(value, ensure_ascii=False, default=str)} {help_text}")


# An address, not a name with one, and not a list: no grammar of RFC 5321 is needed to see that.
_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+|\"[^\"\n]+\"@[^\s@<>,;]+")


def _address(value: str) -> str:
    if _ADDRESS.fullmatch(value) is None:
        _refuse(value, 'is not an address: write it plainly, like "sales@example.org"')
    return value


# useradd(8) and groupadd(8) of Debian are stricter; other directories allow full stops and more.
_LOCAL_NAME = re.compile(r"@?[^\s:/@]+")


def _local_name(value: str) -> str:
    if _LOCAL_NAME.fullmatch(value) is None:
        _refuse(value, 'is no user and no group: write "anna" for a user, "@sales" for a group')
    return value


def _all_or_duration(value: object) -> object:
    return value if value == "all" else _duration(value)


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Size = Annotated[int, BeforeValidator(_size)]
MailAddress = Annotated[str, AfterValidator(_address)]
# A user of this machine, or "@" and a group.
LocalName = Annotated[str, AfterValidator(_local_name)]
# How far back mail is read that was there before the first run.
Backfill = Annotated[Literal["all"] | timedelta, BeforeValidator(_all_or_duration)]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name; names that only resolve to it do not count."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_HOW_TO_WRITE = (
    'give the secret once: { credential = "NAME" }, { file = "PATH" }, { env = "NAME" }, '
    '{ command = ["PROGRAM", "ARGUMENT"] } or a string'
)


class Secret(Settings):
    """Where a secret stands; it is read when it is needed and never kept in the tree, printed or logged.

    Exactly one of: `credential` (a file in systemd's $CREDENTIALS_DIRECTORY), `file`, `env`, `command`
    (its first line of output), or a plain string in the configuration (`value`).
    """

    credential: str | None = None
    file: Path | None = None
    env: str | None = None
    command: tuple[str, ...] | None = None
    value: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _accept_a_string(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever stands in the file
        if isinstance(data, Secret | dict):
            return data
        if not isinstance(data, str):
            raise ValueError(_HOW_TO_WRITE)  # noqa: TRY004 - pydantic collects only a ValueError
        return {"value": data}

    @model_validator(mode="after")
    def _exactly_one(self) -> Secret:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError(_HOW_TO_WRITE)
        return self

    def __repr__(self) -> str:
        return "Secret(value=…)" if self.value is not None else super().__repr__()

    __str__ = __repr__

    def read(self) -> str:
        """The secret itself: the first line of what is found there.

        Blocks: for `command` up to 30 seconds. Raises ConfigError, which never contains the secret.
        """
        secret = self._found().split("\n", 1)[0].rstrip("\r")
        if not secret:
            raise ConfigError([f"{self._where()} is empty"])
        return secret

    def stamp(self) -> tuple[int, ...] | None:
        """Another one whenever the file of the secret was written or replaced; None where there is no such file.

        What stands elsewhere (a command's output too) counts as changed only when the configuration is loaded anew.
        """
        if self.file is None and self.credential is None:
            return None
        try:
            found = self.path().stat()
        except (ConfigError, OSError):
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _where(self) -> str:
        """What to call it in a problem."""
        if self.value is not None:
            return "the secret"
        if self.env is not None:
            return f"environment variable {self.env}"
        if self.command is not None:
            return f"secret command {self.command[0]!r}"
        return f"credential {self.credential!r}" if self.file is None else f"secret file {self.file}"

    def _found(self) -> str:
        if self.value is not None:
            return self.value
        if self.env is not None:
            return self._from_environment(self.env)
        if self.command is not None:
            return self._from_command(self.command)
        return self._from_file(self.path())

    def path(self) -> Path:
        """The file of a `file` or `credential`. Raises ConfigError."""
        if self.file is not None:
            return self.file
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        if not directory:
            way_out = "run under systemd with LoadCredential=, or use { file = … }"
            raise ConfigError([f"{self._where()}: $CREDENTIALS_DIRECTORY is not set; {way_out}"])
        return Path(directory, str(self.credential))

    def _from_file(self, path: Path) -> str:
        try:
            return path.read_text("utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise ConfigError([f"{self._where()}: {reason}"]) from None

    def _from_environment(self, name: str) -> str:
        if name not in os.environ:
            raise ConfigError([f"{self._where()} is not set"])
        return os.environ[name]

    def _from_command(self, command: tuple[str, ...]) -> str:
        # What a command or its error prints may hold the secret: only how it ended is told.
        try:
            status, output = _run(command)
        except FileNotFoundError:
            raise ConfigError([f"{self._where()}: no such program"]) from None
        except subprocess.TimeoutExpired:
            raise ConfigError([f"{self._where()} gave no answer within {SECRET_COMMAND_SECONDS} s"]) from None
        except OSError as error:
            raise ConfigError([f"{self._where()}: {error.strerror}"]) from None
        if status != 0:
            raise ConfigError([f"{self._where()} failed (exit status {status})"])
        return output.decode("utf-8", "replace")


def _run(command: tuple[str, ...]) -> tuple[int, bytes]:
    """Exit status and output of a command that is killed with its children when the time is up."""
    with subprocess.Popen(  # noqa: S603 - the configuration's owner named this program
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, process_group=0
    ) as process:
        try:
            output, _ = process.communicate(timeout=SECRET_COMMAND_SECONDS)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, output
