"""Waiting until a daemon of this process reads every account: mail that came before is not told of."""

from __future__ import annotations

import asyncio

from mdnwatch import local_api
from mdnwatch.config import Config
from mdnwatch.sources.base import SourceState

LOOK_AGAIN_SECONDS = 0.05


async def until_watching(config: Config) -> None:
    """Ask the daemon of a configuration, again and again, until it says that every account is up."""
    question = {"command": "status"}
    facts = None
    while facts is None or not all(account["state"] == SourceState.UP for account in facts["accounts"]):
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        facts = await asyncio.to_thread(local_api.ask, config.socket, question)
