"""What `mdnwatch init` does: a few questions, a trial, and a configuration that works."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mdnwatch import config as configuration
from mdnwatch import server_search
from mdnwatch.dialogue import Dialogue
from mdnwatch.errors import ConfigError, MdnwatchError, SourceError
from mdnwatch.init_files import Target, default_config, default_state_dir
from mdnwatch.problems import described, not_one_of
from mdnwatch.server_search import PORTS, Candidate
from mdnwatch.settings import MailAddress
from mdnwatch.sinks.webhook_keys import SYMMETRIC
from mdnwatch.sinks.webhook_settings import WebhookSettings
from mdnwatch.sources.imap_check import check, greeted
from mdnwatch.sources.imap_settings import ImapSettings

# Somebody sits and waits; a server that takes longer is hardly the one.
TRIAL_TIMEOUT = "10s"

# A server may count refused passwords against the account.
MAX_PASSWORDS = 3

# The specification of Standard Webhooks asks for 24 to 64.
SECRET_BYTES = 32

KINDS_OF_TLS = ("implicit", "starttls", "none")

WEBHOOK, LOG = "webhook", "events"  # names of the sinks


@dataclass(frozen=True, slots=True)
class Given:
    """What the options say; None is asked for, found out, or has a default."""

    address: str | None = None
    server: str | None = None
    tls: str | None = None
    tls_ca: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    password: str | None = None
    webhook: str | None = None
    allow_private: bool = False
    state_dir: Path | None = None
    output: Path | None = None
    force: bool = False
    dns: str | None = None


def run(given: Given, talk: Dialogue) -> Path:
    """Ask, try out and write; the path of the configuration. Raises MdnwatchError."""
    target = Target(
        (given.output or default_config()).absolute(), (given.state_dir or default_state_dir()).absolute(), given.force
    )
    target.refuse_to_overwrite(target.config)
    address = _address(given, talk)
    server = _server(address, given, talk)
    account, password = _login(address, server, given, talk)
    kept: dict[Path, str] = {}
    if password is not None:
        path = target.secret(account["name"], "password")
        kept[path] = password
        account["password"] = {"file": str(path)}
    sinks: list[dict[str, Any]] = [{"kind": "log", "name": LOG, "path": str(target.state_dir / f"{LOG}.jsonl")}]
    if webhook := _webhook(given, talk):
        path = target.secret(WEBHOOK, "secret")
        kept[path] = SYMMETRIC + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")
        sinks.append({**webhook, "secrets": [{"file": str(path)}]})
    document = {"state_dir": str(target.state_dir), "accounts": [account], "sinks": sinks}
    configuration.build(document)
    target.write(document, kept)
    _tell_what_is_written(target, kept, talk)
    return target.config


def _address(given: Given, talk: Dialogue) -> str:
    answer = given.address
    while True:
        address = answer or talk.ask("Your address", "--address")
        try:
            return TypeAdapter(MailAddress).validate_python(address)
        except ValidationError as error:
            problem = str(error.errors()[0]["ctx"]["error"])
            if answer or not talk.interactive:
                raise MdnwatchError(f"--address: {problem}") from None
            talk.tell(problem)


def _server(address: str, given: Given, talk: Dialogue) -> Candidate:
    """A server that answers, found or named."""
    domain = address.rpartition("@")[2]
    if given.tls not in (None, *KINDS_OF_TLS):
        raise MdnwatchError(f"--tls: {not_one_of(given.tls, KINDS_OF_TLS)}")
    tries: Sequence[Candidate]
    if given.server is not None:
        tries = _named(given.server, given.tls)
    else:
        talk.tell(f"Looking for the IMAP server of {domain} …")
        tries = [one for one in _searched(domain, given) if given.tls in (None, one.tls)]
    while True:
        found, failures = asyncio.run(_first_that_answers(tries, address, given))
        if found is not None and _is_trusted(found, domain, talk):
            talk.tell(f"{found.host}:{found.port} answers ({_protection(found.tls)}; {found.how})")
            return found
        talk.tell(*(f"  {failure}" for failure in failures))
        if given.server is not None or not talk.interactive:
            raise MdnwatchError(f"no IMAP server that answers was found for {domain}: name it by --server HOST[:PORT]")
        tries = _named(talk.ask("IMAP server (HOST or HOST:PORT)", "--server"), given.tls)


def _searched(domain: str, given: Given) -> Sequence[Candidate]:
    try:
        resolver = server_search.resolver(given.dns)
    except ValueError:
        raise MdnwatchError(f"--dns: {given.dns} is no IP address of a DNS server") from None
    return server_search.candidates(domain, resolver)


def _named(server: str, tls: str | None) -> list[Candidate]:
    """The ways to reach a server that somebody named: with its port, or at the ports that IMAP has."""
    host, colon, digits = server.strip().rpartition(":")
    if not colon or "]" in digits or (":" in host and not host.startswith("[")):
        host, digits = server.strip(), ""
    host = host.strip("[]")
    ports: list[tuple[int, Any]] = [(port, kind) for port, kind in PORTS if tls in (None, kind)]
    if digits.isdecimal():
        ports = [(int(digits), tls or ("starttls" if int(digits) == PORTS[1][0] else "implicit"))]
    elif tls == "none":
        ports = [(PORTS[1][0], tls)]
    if not host or (colon and digits and not digits.isdecimal()):
        raise MdnwatchError(f"{server} names no server: write HOST or HOST:PORT")
    return [Candidate(host, port, kind, "as named") for port, kind in ports]


def _settings(one: Candidate, username: str, password: object, given: Given) -> dict[str, Any]:
    table = {"host": one.host, "port": one.port, "tls": one.tls, "username": username, "password": password}
    return table | ({"tls_ca": str(given.tls_ca.absolute())} if given.tls_ca else {})


def _imap(table: dict[str, Any]) -> ImapSettings:
    table = {"name": "init", "connect_timeout": TRIAL_TIMEOUT, **table}
    try:
        return ImapSettings.model_validate(table)
    except ValidationError as error:
        raise ConfigError(described(error, ImapSettings)) from None


async def _first_that_answers(
    tries: Sequence[Candidate], address: str, given: Given
) -> tuple[Candidate | None, list[str]]:
    """The first candidate that gives a greeting, all being asked at once; why the ones before it did not."""
    failures: list[str] = []
    tasks = [asyncio.create_task(greeted(_imap(_settings(one, address, "-", given)))) for one in tries]
    try:
        for one, task in zip(tries, tasks, strict=True):
            try:
                await task
            except SourceError as error:
                failures.append(str(error))
            else:
                return one, failures
        return None, failures
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_trusted(found: Candidate, domain: str, talk: Dialogue) -> bool:
    # RFC 6186 §6: a server outside of the domain may be anybody's, and it would get the password.
    if not found.foreign:
        return True
    question = f"{found.host}, which the {found.how} names, is not a part of {domain}. Is it your provider's?"
    return talk.confirm(question, f"--server {found.host}:{found.port}", default=False)


def _protection(tls: str) -> str:
    return {"implicit": "TLS", "starttls": "STARTTLS"}.get(tls, "without TLS")


def _login(address: str, server: Candidate, given: Given, talk: Dialogue) -> tuple[dict[str, Any], str | None]:
    """The account's table, tried out; and the password, where it is not kept in a file already."""
    username = given.username or address
    for left in reversed(range(MAX_PASSWORDS)):
        secret = _password(username, given, talk)
        table = _settings(server, username, secret, given)
        checked = asyncio.run(check(_imap(table), given.state_dir or default_state_dir()))
        talk.tell(*(f"  {line}" for line in checked.lines))
        is_typed = given.password is None and given.password_file is None
        if not (checked.refused and is_typed and left):
            break
        username = talk.ask("User name", "--username", username)
    if checked.refused or not (checked.ok or talk.interactive):
        raise MdnwatchError("nothing was written: the account cannot be read")
    if not checked.ok and not talk.confirm("Write the configuration all the same?", "", default=False):
        raise MdnwatchError("nothing was written")
    beside = {} if username == address else {"addresses": [address]}
    return {"name": address.rpartition("@")[0], **table, **beside}, secret.get("value")


def _password(username: str, given: Given, talk: Dialogue) -> dict[str, str]:
    """The password as configurations write one."""
    if given.password_file is not None:
        return {"file": str(given.password_file.absolute())}
    password = given.password
    if password is None:
        password = talk.ask_secret(f"Password of {username}", "--password-file or --password-stdin")
    return {"value": password}


def _webhook(given: Given, talk: Dialogue) -> dict[str, Any] | None:
    """The table of the webhook, without its secret; None where none is wanted."""
    url, allow_private = given.webhook, given.allow_private
    while True:
        if url is None:
            url = talk.ask("Webhook URL (Enter for none: the status log tells everything too)", "--webhook", "")
        if not url:
            return None
        problems = _problems_of(url, allow_private=allow_private)
        if problems and not allow_private and not _problems_of(url, allow_private=True):
            talk.tell(*problems)
            allow_private = talk.confirm("Is this address meant?", "--allow-private", default=False)
            problems = [] if allow_private else problems
        if not problems:
            private = {"allow_private": True} if allow_private else {}
            return {"kind": "webhook", "name": WEBHOOK, "url": url, **private}
        if given.webhook is not None:
            raise ConfigError(problems)
        talk.tell(*problems)
        url = None


def _problems_of(url: str, *, allow_private: bool) -> list[str]:
    secret = SYMMETRIC + base64.b64encode(bytes(SECRET_BYTES)).decode("ascii")
    table = {"name": WEBHOOK, "url": url, "secrets": [secret], "allow_private": allow_private}
    try:
        WebhookSettings.model_validate(table)
    except ValidationError as error:
        return described(error, WebhookSettings)
    return []


def _tell_what_is_written(target: Target, kept: dict[Path, str], talk: Dialogue) -> None:
    talk.tell("", "Written:", f"  {target.config}", *(f"  {path} (mode 0600)" for path in kept))
    for path, secret in kept.items():
        if secret.startswith(SYMMETRIC) and path.suffix == ".secret":
            talk.tell("The webhook's secret, for its receiver to verify with; it is shown only now:", f"  {secret}")
    option = "" if target.config == Path("/etc/mdnwatch/config.toml") else f" --config {target.config}"
    talk.tell("", "From now on:")
    talk.tell(*(f"  mdnwatch {command}{option}" for command in ("run", "status", "log --follow")))
    if kept and os.geteuid() == 0:
        talk.tell("", *_hints_for_the_service(kept))
    talk.tell("")


def _hints_for_the_service(kept: dict[Path, str]) -> Iterator[str]:
    """The service runs as another user, which these files are closed to."""
    yield "As a service it gets its secrets from systemd. In `systemctl edit mdnwatch`:"
    yield "  [Service]"
    yield from (f"  LoadCredential={path.name}:{path}" for path in kept)
    yield "and in the configuration, in place of { file = … }:"
    yield from (f'  {{ credential = "{path.name}" }}' for path in kept)
