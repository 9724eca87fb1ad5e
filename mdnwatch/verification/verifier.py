"""What can be found of a report's sender when it arrives, by what its account is configured to trust."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from mdnwatch.mail import mime
from mdnwatch.mail.authentication_results import authors, read_results
from mdnwatch.mail.header import Header
from mdnwatch.mail.smime import find_signed
from mdnwatch.mail.transfer import with_lf
from mdnwatch.model.address import canonical_domain, split
from mdnwatch.model.authenticity import Checks, Dkim, Smime
from mdnwatch.model.received import RawMessage
from mdnwatch.verification import dkim_signature, smime_signature

# A batch waits so long for what others have to answer, whatever it holds: what is open then stays open.
SECONDS_PER_BATCH = 15.0

# What every S/MIME message holds (RFC 8551 §3.2, §3.5): so few do that the others need not be taken apart for it.
_SMIME = re.compile(rb"pkcs7-(?:mime|signature)", re.IGNORECASE)

# Questions to the DNS, and processes of openssl, at a time.
CONCURRENCY = 16
PROCESSES = 2


class Trust(Protocol):
    """What an account is configured to trust."""

    @property
    def authserv_ids(self) -> tuple[str, ...]:
        """Mail servers whose Authentication-Results are believed."""
        ...

    @property
    def verify_dkim(self) -> bool:
        """Whether signatures are verified here."""
        ...

    @property
    def smime_trust(self) -> Path | None:
        """The authorities to trust, as a PEM file."""
        ...


Verify = Callable[[Sequence[RawMessage]], Awaitable[Sequence[Checks]]]


async def verify_nothing(messages: Sequence[RawMessage]) -> Sequence[Checks]:
    """Nothing found of any message: for a pipeline that trusts nobody."""
    return [Checks() for _ in messages]


class Verifier:
    """Checks reports of the accounts it was given. `look_up` asks the DNS; by default that of the system."""

    def __init__(self, trust: Mapping[str, Trust], look_up: dkim_signature.LookUp | None = None) -> None:
        self.trust = trust
        self._look_up = look_up or dkim_signature.Dns().txt_record
        self._questions = asyncio.Semaphore(CONCURRENCY)
        self._processes = asyncio.Semaphore(PROCESSES)

    async def verify(self, messages: Sequence[RawMessage]) -> Sequence[Checks]:
        """What was found of each message, in their order. Never raises; takes SECONDS_PER_BATCH at most."""
        deadline = asyncio.get_running_loop().time() + SECONDS_PER_BATCH
        tasks = []
        async with asyncio.TaskGroup() as group:
            for message in messages:
                tasks.append(group.create_task(self._verify(message, deadline)))
                # Others get their turn between the first steps of two messages.
                await asyncio.sleep(0)
        return [task.result() for task in tasks]

    async def _verify(self, raw: RawMessage, deadline: float) -> Checks:
        try:
            return await self._checks(raw, deadline)
        except Exception:  # noqa: BLE001 - one bad message must not stop the mailbox; nothing is proved of it
            return Checks()

    async def _checks(self, raw: RawMessage, deadline: float) -> Checks:
        trust = self.trust.get(raw.place.account)
        checks = Checks()
        if trust is not None and (trust.authserv_ids or trust.verify_dkim):
            data = with_lf(raw.data)
            header = mime.read_header(data, 0, len(data))
            checks = read_results(header, trust.authserv_ids)
            if trust.verify_dkim and checks.dkim is not Dkim.PASS and "dkim-signature" in header:
                checks = replace(checks, dkim=await self._dkim(raw, header, deadline))
        if _SMIME.search(raw.data) is None:
            return checks
        smime, signers = await self._smime(raw, trust.smime_trust if trust else None, deadline)
        return replace(checks, smime=smime, smime_addresses=signers)

    async def _dkim(self, raw: RawMessage, header: Header, deadline: float) -> Dkim:
        senders = authors(header)
        # RFC 6376 §3.6.3: whoever signs speaks for a domain, not for each of several authors.
        if len(senders) != 1:
            return Dkim.NONE
        domain = canonical_domain(split(senders[0])[1])
        if raw.size > len(raw.data):
            return Dkim.CUT if dkim_signature.candidates(raw.data, domain) else Dkim.NONE
        try:
            async with asyncio.timeout_at(deadline), self._questions:
                return await dkim_signature.verify(raw.data, domain, self._look_up)
        except TimeoutError:
            return Dkim.NO_ANSWER

    async def _smime(self, raw: RawMessage, trust: Path | None, deadline: float) -> tuple[Smime, tuple[str, ...]]:
        signed = find_signed(mime.read(raw.data))
        if signed is None:
            return Smime.NONE, ()
        if trust is None or raw.size > len(raw.data):
            return Smime.NOT_VERIFIED, ()
        try:
            async with asyncio.timeout_at(deadline), self._processes:
                return await asyncio.to_thread(smime_signature.verify, signed, trust, raw.received_at)
        except TimeoutError:
            return Smime.NOT_VERIFIED, ()
