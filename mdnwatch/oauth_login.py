"""What `mdnwatch oauth login` does: tokens by a person's consent, handed to the daemon or into its directory."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mdnwatch import local_api, oauth_flows
from mdnwatch.config import Config
from mdnwatch.errors import ConfigError, MdnwatchError
from mdnwatch.oauth import TokenEndpoint, Tokens
from mdnwatch.oauth_settings import OAuthSettings
from mdnwatch.oauth_tokens import TokenFile
from mdnwatch.problems import not_one_of
from mdnwatch.sources.imap_settings import ImapSettings
from mdnwatch.visibility import visible_to

LOGIN = "oauth login"

DEFAULT_OPENER = "xdg-open"


@dataclass(frozen=True, slots=True)
class Options:
    """How a person is asked: `port` of loopback (0: any), `opener` of the browser (None: where there is a display)."""

    port: int = 0
    opener: str | None = None


async def login(
    config: Config, name: str, options: Options, tell: Callable[[str], None], now: Callable[[], datetime]
) -> str:
    """Get tokens for an account and put them where the daemon uses them; what became of it. Raises MdnwatchError."""
    account, settings = _account(config, name)
    # Whoever may not leave the tokens there is told so before they go through the provider's pages.
    is_running = await _ask(config, name, None)
    file = TokenFile(config.state_dir, name)
    if not is_running:
        _refuse_to_write_elsewhere(config)
    try:
        async with TokenEndpoint.open(settings, now) as endpoint:
            tokens = await _tokens(account, settings, endpoint, options, tell)
    except ConfigError as error:
        raise MdnwatchError(f"[accounts.oauth] of {name}: {error}") from None
    if is_running and await _ask(config, name, tokens):
        return f"the daemon has the tokens of {name}, and logs in with them"
    async with file.locked():
        await asyncio.to_thread(file.save, tokens)
    return f"{file.path} holds the tokens of {name}: the daemon takes them when it runs"


def _account(config: Config, name: str) -> tuple[ImapSettings, OAuthSettings]:
    names = [account.name for account in config.accounts]
    account = next((one for one in config.accounts if one.name == name), None)
    if account is None:
        raise MdnwatchError(f"account: {not_one_of(name, names)}")
    if not isinstance(account, ImapSettings) or account.oauth is None:
        raise MdnwatchError(f"account {name} has no table [accounts.oauth]: it logs in without tokens")
    return account, account.oauth


def _refuse_to_write_elsewhere(config: Config) -> None:
    if not os.access(config.state_dir, os.W_OK | os.X_OK):
        raise MdnwatchError(
            f"no daemon runs, and {config.state_dir} cannot be written: start it, or do this as root or as its owner"
        )


async def _tokens(
    account: ImapSettings,
    settings: OAuthSettings,
    endpoint: TokenEndpoint,
    options: Options,
    tell: Callable[[str], None],
) -> Tokens:
    if settings.grant == "client_credentials":
        return await endpoint.of_client()
    if settings.grant == "device_code":

        def show_code(url: str, code: str) -> None:
            tell(f"On any device, open {url} and type the code {code} there; log in as {account.username}.")

        return await oauth_flows.on_device(settings, endpoint, show=show_code)

    def show_url(url: str) -> None:
        tell(f"In a browser of this machine, log in as {account.username} at:\n{url}")
        _open(url, options.opener)

    return await oauth_flows.in_browser(settings, endpoint, account.username, port=options.port, show=show_url)


def _open(url: str, opener: str | None) -> None:
    """Without a display, a browser would be one of the terminal, whose place is taken."""
    program = opener or DEFAULT_OPENER
    if opener is None and not {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        return
    try:
        subprocess.Popen(  # noqa: S603 - the person at the terminal named this program
            [program, url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        if opener is not None:
            raise MdnwatchError(f"{opener}: {error.strerror}") from None


async def _ask(config: Config, name: str, tokens: Tokens | None) -> bool:
    """Give tokens to the daemon, or with None only ask whether it would take some; False: none runs."""
    given = None if tokens is None else json.loads(tokens.to_json())
    question = {"command": LOGIN, "account": name, "tokens": given}
    return await asyncio.to_thread(local_api.ask, config.socket, question) is not None


def handlers(config: Callable[[], Config]) -> Mapping[str, local_api.Handler]:
    """Who takes tokens on the daemon's local socket; a source that waits for them finds them by itself."""

    async def take(question: Mapping[str, Any], peer: local_api.Peer) -> Mapping[str, Any]:
        current, name = config(), str(question.get("account"))
        if not visible_to(peer.uid, current.accounts).account(name):
            raise MdnwatchError(f"account {name} is not yours: its visible_to names who may use it")
        try:
            _account(current, name)
        except MdnwatchError as error:
            raise MdnwatchError(f"the daemon says: {error}; after a change, `systemctl reload mdnwatch`") from None
        if question.get("tokens") is not None:
            await _keep(TokenFile(current.state_dir, name), question["tokens"])
        return {}

    return {LOGIN: take}


async def _keep(file: TokenFile, given: object) -> None:
    try:
        tokens = Tokens.from_json(json.dumps(given))
    except ValueError:
        raise MdnwatchError("these are no tokens") from None
    async with file.locked():
        await asyncio.to_thread(file.save, tokens)
