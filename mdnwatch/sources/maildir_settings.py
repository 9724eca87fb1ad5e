"""The settings of a Maildir account: one `[[accounts]]` table of kind "maildir"."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mdnwatch.settings import Backfill, Duration, LocalName, MailAddress, Size
from mdnwatch.sources.trust_settings import TrustSettings


class MaildirSettings(TrustSettings):
    """One local Maildir."""

    name: Annotated[str, Field(min_length=1, description="What the account is called in events, status and log.")]
    kind: Annotated[Literal["maildir"], Field(description="The kind of source.")] = "maildir"
    path: Annotated[
        Path,
        Field(description="The Maildir: the directory that holds cur and new.", examples=["/var/mail/app/Maildir"]),
    ]
    addresses: Annotated[
        tuple[MailAddress, ...],
        Field(min_length=1, description="The addresses whose mail this is.", examples=[["app@example.org"]]),
    ]
    visible_to: Annotated[
        tuple[LocalName, ...],
        Field(description='Users and "@groups" who see this account by the local socket; default: whoever may ask.'),
    ] = ()
    folders: Annotated[tuple[str, ...], Field(min_length=1, description="Folders in which reports arrive.")] = (
        "INBOX",
    )
    sent: Annotated[
        tuple[str, ...], Field(description='Folders with copies of sent mail: "Sent" is the Maildir++ folder .Sent.')
    ] = ("Sent",)
    backfill: Annotated[
        Backfill | None,
        Field(description='Read mail from before the first run: "all", or as far as "30d". Default: from now on.'),
    ] = None
    max_message_size: Annotated[
        Size, Field(ge=64 * 1024, description="Larger messages are cut here; at least 64KiB.")
    ] = 1024**2
    poll_interval: Annotated[
        Duration, Field(gt=timedelta(0), le=timedelta(hours=1), description="How often the folders are looked at.")
    ] = timedelta(seconds=1)
    replaces_message_id: Annotated[
        bool, Field(description="The server that sends this account's mail gives it another Message-ID.")
    ] = False
