"""What the parts of the configuration share: a strict model, durations, sizes and secrets."""

from __future__ import annotations

import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from mdnwatch.errors import ConfigError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)")
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

# A password manager that asks a person who is not there would hold up the start for ever.
SECRET_COMMAND_SECONDS = 30


class Settings(BaseModel):
    """A table of the configuration: unknown keys are refused, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value if isinstance(value, timedelta) else _refuse(value, _DURATION_HELP)
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        return _refuse(value, _DURATION_HELP)
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])


def _size(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(match[1]) * _BYTES[match[2]] if match else _refuse(value, _SIZE_HELP)


_DURATION_HELP = 'is not a duration: write a number and a unit, like "90s", "5min", "2h" or "30d"'
_SIZE_HELP = 'is not a size: write a number and a unit, like "512KiB" or "1MiB"'


def _refuse(value: object, help_text: str) -> object:
    message = f"{value!r} {help_text}"
    raise ValueError(message)


def _all_or_duration(value: object) -> object:
    return value if value == "all" else _duration(value)


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Size = Annotated[int, BeforeValidator(_size)]
# How far back mail is read that was there before the first run.
Backfill = Annotated[Literal["all"] | timedelta, BeforeValidator(_all_or_duration)]


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
        return {"value": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _exactly_one(self) -> Secret:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            message = (
                'give the secret once: { credential = "NAME" }, { file = "PATH" }, { env = "NAME" }, '
                '{ command = ["PROGRAM", "ARGUMENT"] } or a string'
            )
            raise ValueError(message)
        return self

    def __repr__(self) -> str:
        return "Secret(value=…)" if self.value is not None else super().__repr__()

    __str__ = __repr__

    def read(self) -> str:
        """The secret itself, without a trailing line end.

        Blocks: for `command` up to 30 seconds. Raises ConfigError, which never contains the secret.
        """
        if self.value is not None:
            return self.value
        if self.env is not None:
            return self._from_environment(self.env)
        if self.command is not None:
            return self._from_command(self.command)
        return self._from_file(self._path())

    def _path(self) -> Path:
        if self.file is not None:
            return self.file
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise ConfigError(
                [
                    f"credential {self.credential!r}: $CREDENTIALS_DIRECTORY is not set; run under systemd with "
                     "LoadCredential=, or use { file = … }",
                ]
            )
        return Path(directory, str(self.credential))

    @staticmethod
    def _from_file(path: Path) -> str:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise ConfigError([f"secret file {path}: {reason}"]) from None
        return text.split("\n", 1)[0].rstrip("\r")

    @staticmethod
    def _from_environment(name: str) -> str:
        if name not in os.environ:
            raise ConfigError([f"environment variable {name} is not set"])
        return os.environ[name]

    @staticmethod
    def _from_command(command: tuple[str, ...]) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - the configuration's owner named this program
                command, capture_output=True, check=True, timeout=SECRET_COMMAND_SECONDS, stdin=subprocess.DEVNULL
            )
        except FileNotFoundError:
            raise ConfigError([f"secret command {command[0]!r}: no such program"]) from None
        except (OSError, subprocess.SubprocessError) as error:
            # The error's own text may hold output, and so the secret: only its kind is told.
            raise ConfigError([f"secret command {command[0]!r} failed ({type(error).__name__})"]) from None
        return done.stdout.decode("utf-8", "replace").split("\n", 1)[0].rstrip("\r")
