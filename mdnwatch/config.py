"""The configuration: one TOML file as a tree of settings, or every problem at once with the way out."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

import mdnwatch.sinks
import mdnwatch.sources
from mdnwatch.errors import ConfigError
from mdnwatch.model.authenticity import Grade
from mdnwatch.problems import Place, described, duration, not_one_of, quoted, written
from mdnwatch.settings import Duration, MailAddress, Secret, Settings, is_loopback
from mdnwatch.sinks.base import SinkSettings
from mdnwatch.sources.trust_settings import TrustSettings

SOCKET_NAME = "mdnwatch.sock"

# unix(7): sun_path has 108 bytes with the NUL at its end.
MAX_SOCKET_PATH_BYTES = 107

# Where systemd's StateDirectory= and RuntimeDirectory= put things for a system service.
SYSTEM_STATE = Path("/var/lib")
SYSTEM_RUNTIME = Path("/run")

_DEFAULT_KIND = "imap"  # of an account whose table names none
_LINE_AND_COLUMN = re.compile(r"(.*) \(at line (\d+), column (\d+)\)")


@runtime_checkable
class AccountSettings(Protocol):
    """What every `[[accounts]]` table has, whatever its kind."""

    @property
    def name(self) -> str:
        """What the account is called in events, status and log."""
        ...

    @property
    def kind(self) -> str:
        """The module under `sources` that reads it."""
        ...

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses whose mail this is."""
        ...

    @property
    def visible_to(self) -> tuple[str, ...]:
        """The users and "@groups" of this machine that may know of it; empty: whoever may ask the daemon."""
        ...


class LogSettings(Settings):
    """What is logged, and in which form."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The least important lines to keep.")
    ] = "info"
    format: Annotated[
        Literal["auto", "console", "json"],
        Field(description='"console" for people, "json" for programs; "auto": console on a terminal, json otherwise.'),
    ] = "auto"


class MetricsSettings(Settings):
    """Where Prometheus asks."""

    listen: Annotated[
        str | None,
        Field(description="Loopback address and port for GET /metrics; default: nowhere.", examples=["127.0.0.1:9464"]),
    ] = None

    @field_validator("listen")
    @classmethod
    def _on_loopback(cls, listen: str | None) -> str | None:
        if listen is None:
            return None
        host, port = _host_and_port(listen)
        if not is_loopback(host):
            raise ValueError(f"{quoted(listen)} is no loopback address: metrics name accounts; put a proxy before it")
        if not 1 <= port <= MAX_PORT:
            raise ValueError(f"{quoted(listen)} has no usable port: {_LISTEN_HELP}")
        return listen

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`, which is set."""
        return _host_and_port(self.listen or "")


MAX_PORT = 65535
_LISTEN_HELP = 'write host and port, like "127.0.0.1:9464" or "[::1]:9464"'


def _host_and_port(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{quoted(listen)} is no address: {_LISTEN_HELP}")
    return host.removeprefix("[").removesuffix("]"), int(port)


class StampSettings(Settings):
    """What `mdnwatch stamp` makes of."""

    return_address: Annotated[
        MailAddress | None,
        Field(description='Where reports about stamped mail go: "+" and a token are put behind its local part.'),
    ] = None


class Config(Settings):
    """All that the file says, with the defaults filled in; two that compare equal mean the same.

    `accounts` and `sinks` hold the SETTINGS of the module that their kind names.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    state_dir: Annotated[
        Path,
        Field(
            description="Directory of the database; set by systemd's StateDirectory=", examples=["/var/lib/mdnwatch"]
        ),
    ]
    runtime_dir: Annotated[Path, Field(description="Directory of the local socket.")]
    accounts: Annotated[tuple[AccountSettings, ...], Field(description="What is watched.")]
    sinks: Annotated[tuple[SinkSettings, ...], Field(description="Whom events are told.")] = ()
    announce_backfill: Annotated[bool, Field(description="Tell of backfilled and rescanned mail too.")] = False
    min_grade: Annotated[
        Literal[Grade.AUTHENTICATED, Grade.CONSISTENT, Grade.DOUBTFUL],
        Field(description="How far evidence must be trusted to change a state."),
    ] = Grade.DOUBTFUL
    own_mtas: Annotated[
        tuple[str, ...],
        Field(
            description="Mail servers of your own, by which delivery reports are judged; a domain means all below it.",
            examples=[["mail.example.org"]],
        ),
    ] = ()
    wait_for_sent: Annotated[
        Duration, Field(gt=timedelta(0), description="How long a report waits for its sent message.")
    ] = timedelta(days=30)
    unmatched_grace: Annotated[
        Duration, Field(gt=timedelta(0), description="How long it may wait so before report.unmatched tells of it.")
    ] = timedelta(hours=1)
    max_waiting: Annotated[int, Field(ge=0, description="Reports that may wait so, per account.")] = 10_000
    reply_wait: Annotated[
        Duration, Field(gt=timedelta(0), description="How long a reply is held that may still find its message.")
    ] = timedelta(days=7)
    outage_grace: Annotated[
        Duration,
        Field(description="How long an account is down before source.down tells it, if it may come back."),
    ] = timedelta(seconds=60)
    logins_per_second: Annotated[
        float, Field(gt=0, description="New connections to one host, over all accounts; others wait for their turn.")
    ] = 20.0
    connections_per_host: Annotated[
        int, Field(ge=1, description="Connections to one host at a time; an account without one is down, and says so.")
    ] = 1000
    overdue_after: Annotated[
        tuple[Annotated[Duration, Field(gt=timedelta(0))], ...],
        Field(description="How long after sending a recipient's silence is told, each once; [] for never."),
    ] = (timedelta(days=3),)
    overdue_of: Annotated[
        Literal["requested", "all"],
        Field(description='Whose silence: "requested", of whom a receipt or delivery report was asked, or "all".'),
    ] = "requested"
    watch_for: Annotated[
        Duration, Field(gt=timedelta(0), description="How long after sending a message is settled, whatever was heard.")
    ] = timedelta(days=30)
    keep: Annotated[
        Duration | None,
        Field(description="How long after sending a settled message is kept, with all about it; default: for ever."),
    ] = None
    stamp: StampSettings = StampSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if late := [step for step in self.overdue_after if step >= self.watch_for]:
            raise ValueError(
                f"overdue_after: {duration(max(late))} is not before the end of the watch "
                f"(watch_for, {duration(self.watch_for)}): name an earlier time, or watch for longer"
            )
        if self.keep is not None and self.keep < self.watch_for:
            raise ValueError(
                f"keep: {duration(self.keep)} is over before the watch of a message is "
                f"(watch_for, {duration(self.watch_for)}): keep messages longer, or watch them for a shorter time"
            )
        return self

    @property
    def socket(self) -> Path:
        """Where the daemon listens for the commands."""
        return self.runtime_dir / SOCKET_NAME


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration of a file. Raises ConfigError with every problem found; reads no secret."""
    return build(_document(path), environ)


def build(document: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration that a TOML document describes. Raises ConfigError with every problem found."""
    problems: list[str] = []
    accounts = list(_tables(document, "accounts", mdnwatch.sources, problems, default_kind=_DEFAULT_KIND))
    if not document.get("accounts", []) and not problems:
        problems.append("accounts: is missing: add an [[accounts]] table for each mailbox to watch")
    sinks = list(_tables(document, "sinks", mdnwatch.sinks, problems))
    top = {**_directories(document, environ), **document, "accounts": tuple(accounts), "sinks": tuple(sinks)}
    try:
        config = Config.model_validate(top)
    except ValidationError as error:
        raise ConfigError([*described(error, Config), *problems]) from None
    problems += [*_socket_problems(config), *_unknown_accounts(config)]
    problems += [
        problem for place, secret in secrets(config) if secret.value is not None for problem in _read(place, secret)
    ]
    if problems:
        raise ConfigError(problems)
    return config


def _unknown_accounts(config: Config) -> Iterator[str]:
    known = [account.name for account in config.accounts]
    for index, sink in enumerate(config.sinks):
        for number, name in enumerate(sink.accounts):
            if name not in known:
                yield f"{written(('sinks', index, 'accounts', number))}: {not_one_of(name, known)}"


def secret_problems(config: Config) -> list[str]:
    """Try every secret, and say which cannot be read. Blocks while commands run."""
    return [problem for place, secret in secrets(config) for problem in _read(place, secret)]


def _read(place: Place, secret: Secret) -> list[str]:
    try:
        secret.read()
    except ConfigError as error:
        return [f"{written(place)}: {problem}" for problem in error.problems]
    return []


def warnings(config: Config, path: Path) -> list[str]:
    """What is allowed and yet unwise: secrets that everybody on the machine can read, authorities that are no file."""
    found = _unreadable_authorities(config)
    plain = [written(place) for place, secret in secrets(config) if secret.value is not None]
    if plain and _readable_by_all(path):
        found.append(
            f"{path}: everybody on this machine can read {', '.join(plain)}: "
            f"keep them elsewhere ({{ credential = … }}, {{ file = … }}), or chmod o= {path}"
        )
    for place, secret in secrets(config):
        if secret.file is not None and _readable_by_all(secret.file):
            found.append(f"{written(place)}: everybody on this machine can read {secret.file}: chmod o= {secret.file}")
    return found


def _unreadable_authorities(config: Config) -> list[str]:
    found = []
    for number, account in enumerate(config.accounts):
        path = account.smime_trust if isinstance(account, TrustSettings) else None
        if path is not None and not path.is_file():
            found.append(f"accounts[{number}].smime_trust: {path} is no file here: no S/MIME signature will be trusted")
    return found


def _readable_by_all(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def secrets(value: object, place: Place = ()) -> Iterator[tuple[Place, Secret]]:
    """Every secret in a tree of settings, with its place."""
    if isinstance(value, Secret):
        yield place, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets(getattr(value, name), (*place, name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from secrets(item, (*place, index))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from secrets(item, (*place, name))


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file; config.example.toml shows what to write"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 (byte {error.start}): save it as UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_problem(path, str(error))]) from None


def _syntax_problem(path: Path, words: str) -> str:
    match = _LINE_AND_COLUMN.fullmatch(words)
    if match is None:
        return f"{path}: is not TOML: {words}"
    return f"{path}, line {match[2]}, column {match[3]}: is not TOML: {match[1]}"


def _directories(document: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The defaults of state_dir and runtime_dir.

    The daemon is told its directories by systemd; a command at a terminal is not, and yet has to find the
    same socket: /run/NAME belongs to /var/lib/NAME.
    """
    found: dict[str, Any] = {}
    # systemd.exec(5): several directories are separated by colons.
    if state := environ.get("STATE_DIRECTORY", "").split(":")[0]:
        found["state_dir"] = state
    state = document.get("state_dir", state)
    if runtime := environ.get("RUNTIME_DIRECTORY", "").split(":")[0]:
        found["runtime_dir"] = runtime
    else:
        of_service = SYSTEM_RUNTIME / Path(str(state)).name
        belongs = Path(str(state)).parent == SYSTEM_STATE and of_service.is_dir()
        found["runtime_dir"] = of_service if belongs else str(state)
    return found


def _socket_problems(config: Config) -> Iterator[str]:
    length = len(os.fsencode(config.socket))
    if length > MAX_SOCKET_PATH_BYTES:
        yield (
            f"runtime_dir: the socket's path {config.socket} has {length} bytes, and the system allows "
            f"{MAX_SOCKET_PATH_BYTES}: name a shorter directory"
        )


def _tables(
    document: Mapping[str, Any], key: str, package: ModuleType, problems: list[str], default_kind: str | None = None
) -> Iterator[Any]:
    """The settings of each table under `key`; what is wrong with the others is added to `problems`."""
    tables = document.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        problems.append(f"{key}: must be a list of tables: write [[{key}]] above each")
        return
    problems += _repeated_names(key, tables)
    for index, table in enumerate(tables):
        try:
            yield _settings(table, (key, index), package, default_kind)
        except ConfigError as error:
            problems += error.problems


def _settings(table: Mapping[str, Any], place: Place, package: ModuleType, default_kind: str | None) -> Any:  # noqa: ANN401 - the package knows the type
    kind = table.get("kind", default_kind)
    where = written((*place, "kind"))
    if kind is None:
        raise ConfigError([f"{where}: is missing: one of {', '.join(kinds(package))}"])
    if not isinstance(kind, str) or (module := module_of(package, kind)) is None:
        raise ConfigError([f"{where}: {not_one_of(kind, kinds(package))}"])
    model: type[BaseModel] = module.SETTINGS
    try:
        return model.model_validate({**table, "kind": kind})
    except ValidationError as error:
        raise ConfigError(described(error, model, place)) from None


def _repeated_names(key: str, tables: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    first: dict[str, int] = {}
    for index, table in enumerate(tables):
        name = table.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            where, other = written((key, index, "name")), written((key, first[name]))
            yield f"{where}: {quoted(name)} is also the name of {other}: give each its own"


def kinds(package: ModuleType) -> list[str]:
    """The kinds that a package offers."""
    return [name for name in _module_names(package) if module_of(package, name)]


def module_of(package: ModuleType, kind: str) -> Any:  # noqa: ANN401 - a module, known by what it must have
    """The module of a kind: the one of that name, with KIND and SETTINGS; None where there is none.

    Only this module is imported: one that is not configured may need a library that is not installed.
    """
    if kind not in _module_names(package):
        return None
    module = importlib.import_module(f"{package.__name__}.{kind}")
    return module if getattr(module, "KIND", None) == kind else None


def _module_names(package: ModuleType) -> list[str]:
    return [module.name for module in pkgutil.iter_modules(package.__path__)]
