"""What an event is about, for those who choose among events: its account, reference, domain and grade."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from mdnwatch.model.address import canonical, canonical_domain, split
from mdnwatch.model.authenticity import Grade


class EventFacts:
    """An event by its type and the JSON of its body, which is read when the first fact is asked for.

    Each fact is None where an event names nothing of the kind.
    """

    def __init__(self, event_type: str, body: str) -> None:
        self.type = event_type
        self._body = body

    @cached_property
    def _data(self) -> Mapping[str, Any]:
        data: Mapping[str, Any] = json.loads(self._body)["data"]
        return data

    @property
    def account(self) -> str | None:
        """The account by its name."""
        return account_of(self._data)

    @property
    def is_of_message(self) -> bool:
        """Whether it tells of a sent message, which may have a reference."""
        return isinstance(self._data.get("message"), Mapping)

    @property
    def reference(self) -> str | None:
        """The caller's word for the message."""
        reference = _table(self._data, "message").get("reference")
        return None if reference is None else str(reference)

    @property
    def domain(self) -> str | None:
        """The domain of the recipient, in lower case, as A-labels."""
        address = self._address
        return None if address is None else canonical_domain(split(address)[1])

    @property
    def grade(self) -> Grade | None:
        """How far the evidence is trusted."""
        grade = _table(self._data, "authenticity").get("grade")
        return None if grade is None else Grade(grade)

    @property
    def order_key(self) -> str:
        """The sequence in which it is delivered, as when it was told first."""
        message, address = _table(self._data, "message"), self._address
        if "message_id" not in message:
            return str(self._data["id"])
        return f"{message['message_id']} {canonical(address)}" if address else str(message["message_id"])

    @property
    def _address(self) -> str | None:
        # An event about a report names the recipient by a plain text.
        recipient = self._data.get("recipient")
        address = recipient.get("address") if isinstance(recipient, Mapping) else recipient
        return None if address is None else str(address)


def account_of(data: Mapping[str, Any]) -> str | None:
    """The account that the data of an event name; None for an event about none, as a sink's."""
    name = _table(data, "message").get("account") or data.get("account") or data.get("source")
    return None if name is None else str(name)


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}
