"""Sink `email`: a mail for each event, or one for all of them at set times."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from mdnwatch.errors import ConfigError
from mdnwatch.model import own_mail
from mdnwatch.model.address import canonical_domain, split
from mdnwatch.model.notification import Outcome, Outgoing, Verdict
from mdnwatch.model.text import clean
from mdnwatch.problems import quoted
from mdnwatch.settings import MailAddress
from mdnwatch.sinks.base import MAX_CONCURRENCY, SinkSettings
from mdnwatch.sinks.email_text import subject_of, text_of
from mdnwatch.smtp_client import NotSubmitted, SmtpSettings, submit

KIND = "email"

# Connections at once, where each event is a mail: a submission server counts them.
DEFAULT_MAILS = 2

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class EmailSettings(SinkSettings):
    """One `[[sinks]]` table of kind "email"."""

    kind: Literal["email"] = "email"
    to: Annotated[
        tuple[MailAddress, ...],
        Field(min_length=1, description="Who gets the mails.", examples=[["sales-team@example.org"]]),
    ]
    sender: Annotated[MailAddress, Field(description="The address in From.", examples=["mdnwatch@example.org"])]
    return_path: Annotated[
        MailAddress | Literal[""],
        Field(description='Where reports about these mails go; "" means that there are none (RFC 5321 §4.5.5).'),
    ] = ""
    smtp: Annotated[SmtpSettings, Field(description="The server that takes the mails.")]
    digest: Annotated[
        tuple[str, ...],
        Field(description='Times of day, as "08:00", at which one mail tells all that came since; by default at once.'),
    ] = ()
    zone: Annotated[
        str | None, Field(description='The time zone of these times, as "Europe/Berlin"; default: the machine\'s.')
    ] = None
    concurrency: Annotated[
        int, Field(ge=1, le=MAX_CONCURRENCY, description="Mails under way at once; of a digest, events in one mail.")
    ] = DEFAULT_MAILS

    @model_validator(mode="before")
    @classmethod
    def _digests_hold_many(cls, data: Any) -> Any:  # noqa: ANN401 - pydantic hands over whatever stands in the file
        if isinstance(data, dict) and data.get("digest"):
            return {"concurrency": MAX_CONCURRENCY, **data}
        return data

    @field_validator("to", "sender", "return_path")
    @classmethod
    def _ascii_local_part(cls, value: Any) -> Any:  # noqa: ANN401 - one address or several
        for address in [value] if isinstance(value, str) else value:
            if not split(address)[0].isascii():
                raise ValueError(f"{quoted(address)} needs SMTPUTF8 (RFC 6531), which is not spoken here: use another")
        return value

    @field_validator("digest")
    @classmethod
    def _times_of_day(cls, times: tuple[str, ...]) -> tuple[str, ...]:
        for written in times:
            if _CLOCK.fullmatch(written) is None:
                raise ValueError(f'{quoted(written)} is no time of day: write it like "08:00"')
        return times

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        try:
            return zone if zone is None else ZoneInfo(zone).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f'{quoted(zone)} is no time zone of this machine: write it like "Europe/Berlin"') from None

    def holds_until(self, now: datetime) -> datetime | None:
        """The next digest, in UTC."""
        if not self.digest:
            return None
        zone = None if self.zone is None else ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        clocks = [time.fromisoformat(written) for written in self.digest]
        days = (today, today + timedelta(days=1), today + timedelta(days=2))
        # Without a zone a time is the machine's, with its summer time of that day.
        times = [datetime.combine(day, clock, zone).astimezone(now.tzinfo) for day in days for clock in clocks]
        return min(at for at in times if at > now)


class Email:
    """The sink: a server, and those who get the mails."""

    def __init__(self, settings: EmailSettings, *, now: Callable[[], datetime]) -> None:
        self.settings = settings
        self.identity = _identity(settings)
        self._now = now
        self._waiting: list[tuple[Outgoing, asyncio.Future[Outcome]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Let a digest that is on its way arrive."""
        if self._sending is not None:
            await asyncio.wait([self._sending], timeout=self.settings.timeout.total_seconds())

    async def send(self, notification: Outgoing) -> Outcome:
        """Hand over one mail; of a digest, all that is to be sent in the same turn of the loop goes into one."""
        if not self.settings.digest:
            return await self._submit([notification])
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((notification, outcome))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_digest(), name=f"digest {self.settings.name}")
        return await outcome

    async def _send_digest(self) -> None:
        while self._waiting:
            together = [(one, outcome) for one, outcome in self._waiting if not outcome.done()]
            self._waiting = []
            try:
                came = await self._submit([one for one, _ in together])
            except Exception as error:  # noqa: BLE001 - a defect is told by those who wait, and never keeps them waiting
                for _, outcome in together:
                    if not outcome.done():
                        outcome.set_exception(error)
                continue
            for _, outcome in together:
                if not outcome.done():
                    outcome.set_result(came)

    async def _submit(self, notifications: Sequence[Outgoing]) -> Outcome:
        settings = self.settings
        message = _composed(settings, notifications, self._now())
        seconds = settings.timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                await submit(settings.smtp, settings.return_path, [_ascii(one) for one in settings.to], message)
        except TimeoutError:
            return Outcome(Verdict.UNAVAILABLE, f"not taken within {seconds:g} s")
        except NotSubmitted as error:
            # Whatever the server says, it says of all these mails: they have the same sender and the same recipients.
            return Outcome(Verdict.UNAVAILABLE, clean(str(error)))
        except ConfigError as error:
            return Outcome(Verdict.UNAVAILABLE, "; ".join(error.problems))
        return Outcome(Verdict.DELIVERED, "")


def _composed(settings: EmailSettings, notifications: Sequence[Outgoing], now: datetime) -> bytes:
    """The mail with CRLF line ends; it asks for no receipt, and says that no person wrote it."""
    ids = sorted(one.event_id for one in notifications)
    token = hashlib.sha256("\0".join([settings.name, *ids]).encode()).hexdigest()[:32]
    message = EmailMessage(policy=SMTP)
    message["From"] = _ascii(settings.sender)
    message["To"] = ", ".join(_ascii(address) for address in settings.to)
    message["Subject"] = subject_of(notifications)
    message["Date"] = format_datetime(now)
    # The same when it is sent again: a mailbox may drop what it has.
    message["Message-ID"] = own_mail.message_id(token, canonical_domain(split(settings.sender)[1]))
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5
    # Exchange answers absences, and sends receipts, for what does not say this (MS-OXCMAIL 2.2.3.2.14).
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(text_of(notifications))
    return message.as_bytes()


def _ascii(address: str) -> str:
    local, domain = split(address)
    return f"{local}@{canonical_domain(domain)}"


def build(settings: EmailSettings, *, now: Callable[[], datetime]) -> Email:
    """The sink; the password is read for each connection."""
    return Email(settings, now=now)


SETTINGS = EmailSettings


def _identity(settings: EmailSettings) -> str:
    where = settings.smtp.model_dump_json(exclude={"password"})
    digest = hashlib.sha256("\0".join([*settings.to, settings.sender, settings.return_path, where]).encode())
    return digest.hexdigest()[:32]
