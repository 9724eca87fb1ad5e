"""The settings of an IMAP account: one `[[accounts]]` table of kind "imap"."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mdnwatch.oauth_settings import OAuthSettings
from mdnwatch.problems import quoted
from mdnwatch.settings import Backfill, Duration, LocalName, MailAddress, Secret, Size, is_loopback
from mdnwatch.smtp_client import SmtpSettings
from mdnwatch.sources.trust_settings import TrustSettings

IMPLICIT_TLS_PORT = 993  # RFC 8314 §3.2
PLAIN_PORT = 143

# The smallest sensible cut: the report parts of a DSN stand in the first kilobytes, also below a long header.
SMALLEST_MESSAGE_SIZE = 64 * 1024

_POSITIVE = timedelta(0)
# RFC 2177: a client that idles must come back at least every 29 minutes.
_LONGEST_IDLE = timedelta(minutes=29)
# While it connects, a source cannot tell the watchdog that it is alive.
_LONGEST_CONNECT = timedelta(seconds=30)


class ImapSettings(TrustSettings):
    """One IMAP account."""

    name: Annotated[str, Field(min_length=1, description="What the account is called in events, status and log.")]
    kind: Annotated[Literal["imap"], Field(description="The kind of source.")] = "imap"
    host: Annotated[
        str, Field(min_length=1, description="Name or address of the IMAP server.", examples=["imap.example.org"])
    ]
    port: Annotated[
        int, Field(ge=1, le=65535, description='TCP port; default 993 for tls = "implicit", otherwise 143.')
    ]
    tls_ca: Annotated[
        Path | None, Field(description="PEM file of the authorities to trust, in place of the system's.")
    ] = None
    allow_plaintext: Annotated[
        bool, Field(description='With tls = "none": also to a server beyond loopback; everyone on the way can read.')
    ] = False
    tls: Annotated[
        Literal["implicit", "starttls", "none"],
        Field(description='"implicit" (TLS from the first byte), "starttls", or "none" (only to loopback).'),
    ] = "implicit"
    username: Annotated[str, Field(min_length=1, description="Login name.", examples=["sales@example.org"])]
    password: Annotated[
        Secret | None,
        Field(
            description='{ credential = "NAME" }, { file = "PATH" }, { env = "NAME" }, { command = […] } or a string; '
            "in its place a table [accounts.oauth], where the server wants tokens."
        ),
    ]
    oauth: Annotated[OAuthSettings | None, Field(description="In place of the password: a login by OAuth 2.0.")] = None
    addresses: Annotated[
        tuple[MailAddress, ...],
        Field(
            min_length=1,
            description="The addresses whose mail this is; default: the username, where that is one.",
            examples=[["sales@example.org"]],
        ),
    ]
    visible_to: Annotated[
        tuple[LocalName, ...],
        Field(description='Users and "@groups" who see this account by the local socket; default: whoever may ask.'),
    ] = ()
    folders: Annotated[
        tuple[str, ...],
        Field(min_length=1, description="Folders in which reports arrive: names, or special uses such as \\\\Junk."),
    ] = ("INBOX", "\\Junk")
    sent: Annotated[
        tuple[str, ...],
        Field(
            validate_default=True, description="Folders with copies of sent mail: names, or the special use \\\\Sent."
        ),
    ] = ("\\Sent",)
    backfill: Annotated[
        Backfill | None,
        Field(
            description='Read mail from before the first run: "all", or how far back, as "30d". Default: from now on.'
        ),
    ] = None
    idle_renewal: Annotated[
        Duration,
        Field(gt=_POSITIVE, le=_LONGEST_IDLE, description="How often the server has to prove that it still answers."),
    ] = timedelta(seconds=90)
    poll_interval: Annotated[
        Duration,
        Field(
            gt=_POSITIVE,
            le=_LONGEST_IDLE,
            description="How often a server is asked that has no IDLE, or one that tells late.",
        ),
    ] = timedelta(seconds=15)
    max_message_size: Annotated[
        Size, Field(ge=SMALLEST_MESSAGE_SIZE, description="Larger messages are cut here; at least 64KiB.")
    ] = 1024**2
    connect_timeout: Annotated[
        Duration, Field(gt=_POSITIVE, le=_LONGEST_CONNECT, description="Time for name, connection and TLS.")
    ] = timedelta(seconds=20)
    answer_timeout: Annotated[
        Duration, Field(gt=_POSITIVE, description="Time for an answer that costs the server nothing, as to DONE.")
    ] = timedelta(seconds=20)
    command_timeout: Annotated[
        Duration, Field(gt=_POSITIVE, description="How long the server may be silent while it works on a command.")
    ] = timedelta(seconds=90)
    smtp: Annotated[
        SmtpSettings | None, Field(description="Where this account's mail is submitted; for `mdnwatch doctor --send`.")
    ] = None
    replaces_message_id: Annotated[
        bool, Field(description="This account's server gives sent mail another Message-ID (Amazon SES, some Exchange).")
    ] = False

    @model_validator(mode="before")
    @classmethod
    def _defaults_from_others(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever stands in the file
        if not isinstance(data, dict):
            return data
        filled = {"port": IMPLICIT_TLS_PORT if data.get("tls", "implicit") == "implicit" else PLAIN_PORT, **data}
        username = data.get("username")
        if not data.get("addresses") and isinstance(username, str) and "@" in username:
            filled["addresses"] = (username,)
        if data.get("oauth") is not None:
            filled.setdefault("password", None)
        elif isinstance(smtp := data.get("smtp"), dict) and not {"username", "password"} & set(smtp):
            # Nearly everywhere it is the same login.
            filled["smtp"] = {**smtp, "username": username, "password": data.get("password")}
        return filled

    # Keys that stand after those they have to fit, and are judged one by one: every problem is told at once. Of the
    # keys before, those that are wrong themselves are missing in `info.data`.

    @field_validator("tls")
    @classmethod
    def _keeps_the_password(cls, tls: str, info: ValidationInfo) -> str:
        is_near = is_loopback(info.data.get("host", "localhost"))
        if tls == "none" and not is_near and not info.data.get("allow_plaintext", True):
            raise ValueError(
                '"none" would send the password readable over the network: '
                'use "implicit" or "starttls", or set allow_plaintext = true'
            )
        return tls

    @field_validator("oauth")
    @classmethod
    def _in_place_of_a_password(cls, oauth: OAuthSettings | None, info: ValidationInfo) -> OAuthSettings | None:
        if oauth is not None and info.data.get("password") is not None:
            raise ValueError("stands beside password: an account has one of the two")
        return oauth

    @field_validator("smtp")
    @classmethod
    def _with_a_login_of_its_own(cls, smtp: SmtpSettings | None, info: ValidationInfo) -> SmtpSettings | None:
        if smtp is not None and info.data.get("oauth") is not None and "username" not in smtp.model_fields_set:
            raise ValueError(
                "mail is submitted with a password only, not with the tokens of oauth: "
                'give username and password here, or username = "" where the server needs none'
            )
        return smtp

    @field_validator("sent")
    @classmethod
    def _in_one_role(cls, sent: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if both := set(info.data.get("folders", ())) & set(sent):
            raise ValueError(f"{quoted(min(both))} stands under folders too: name it once")
        return sent
