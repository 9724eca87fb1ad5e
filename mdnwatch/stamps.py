"""Message-ID, ENVID and return address for mail that is about to be sent, with tokens that prove who held it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mdnwatch.config import AccountSettings
from mdnwatch.model.address import SUB_ADDRESS_SEPARATOR, split
from mdnwatch.model.sent import SentMessage
from mdnwatch.model.token import MAX_LOCAL_PART, TOKEN_LENGTH, Spot, identity, make
from mdnwatch.registration import NotUsable, checked

# "+" and a token follow it.
MAX_BASE = MAX_LOCAL_PART - TOKEN_LENGTH - len(SUB_ADDRESS_SEPARATOR)

# Stands for a Message-ID that is still to be made.
_UNNAMED = "<to-be-made@mdnwatch.invalid>"

_FOR_ONE = "Made for {} alone: a report with {} comes from somebody who held that copy."
_FOR_ALL = "All {} recipients get it: a report with {} comes from somebody who held a copy, whichever of them."


@dataclass(frozen=True, slots=True)
class Stamp:
    """What one transaction is to be sent with. `sent` is what is registered; the return address is plain."""

    sent: SentMessage
    return_address: str
    proves: str

    def facts(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "message_id": self.sent.message_id,
            "envelope_id": self.sent.envelope_id,
            "return_address": self.return_address,
            "recipients": list(self.sent.recipients),
            "proves": self.proves,
        }


@dataclass(frozen=True, slots=True)
class Stamper:
    """Makes stamps with a key; `nonce` gives fresh random bytes, `now` is aware UTC."""

    key_id: str
    secret: bytes
    nonce: Callable[[], bytes]
    now: datetime

    def stamps(
        self, request: Mapping[str, Any], accounts: Sequence[AccountSettings], return_address: str | None
    ) -> list[Stamp]:
        """The stamps of a message: one for all recipients, or with `each` in the request one for each of them.

        The request is as for `sent add`, but for `message_id`, which may be left out: then each stamp makes its own.
        Raises NotUsable.
        """
        told = {**request, "message_id": request.get("message_id") or _UNNAMED}
        each = told.pop("each", False) is True
        # As the Date of a report (RFC 5322 §3.3), in whole seconds: one of the same second is not older.
        sent = replace(checked(told, accounts), date=self.now.replace(microsecond=0))
        base = return_address or _first_address(sent, accounts)
        groups = [(one,) for one in sent.recipients] if each else [sent.recipients]
        return [self._stamp(sent, group, base) for group in groups]

    def _stamp(self, sent: SentMessage, recipients: tuple[str, ...], base: str) -> Stamp:
        known = identity(self.key_id, self.nonce())
        token = {spot: make(known, spot, self.secret) for spot in Spot}
        is_named = sent.message_id != _UNNAMED
        message_id = f"<{token[Spot.MESSAGE_ID]}@{split(sent.from_address)[1]}>"
        spots = "this ENVID or return address" if is_named else "this Message-ID, ENVID or return address"
        for_one = len(recipients) == 1
        return Stamp(
            sent=replace(
                sent,
                message_id=sent.message_id if is_named else message_id,
                envelope_id=token[Spot.ENVELOPE_ID],
                recipients=recipients,
                tokens=((known, recipients[0] if for_one else None),),
            ),
            return_address=_with_token(base, token[Spot.RETURN_ADDRESS]),
            proves=(_FOR_ONE if for_one else _FOR_ALL).format(recipients[0] if for_one else len(recipients), spots),
        )


def _first_address(sent: SentMessage, accounts: Sequence[AccountSettings]) -> str:
    own = next(account.addresses for account in accounts if account.name == sent.account)
    return own[0] if own else sent.from_address


def _with_token(base: str, token: str) -> str:
    local, domain = split(base)
    if len(local.encode()) > MAX_BASE or local.startswith('"'):
        way_out = "name a shorter one as return_address under [stamp]"
        raise NotUsable([f"{base}: a token fits behind {MAX_BASE} plain characters at most: {way_out}"])
    return f"{local}{SUB_ADDRESS_SEPARATOR}{token}@{domain}"


def for_people(stamp: Mapping[str, Any]) -> str:
    """The lines that tell a person of a stamp."""
    rows = [
        ("Message-ID", stamp["message_id"]),
        ("ENVID", stamp["envelope_id"]),
        ("Return address", stamp["return_address"]),
        ("For", ", ".join(stamp["recipients"])),
    ]
    return "\n".join([*(f"{name + ':':<16}{value}" for name, value in rows), stamp["proves"]])
