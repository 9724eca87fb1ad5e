"""Who may know what of the accounts: not everyone in the office sees everyone's mail."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mdnwatch.config import AccountSettings
from mdnwatch.model.event_facts import account_of


@dataclass(frozen=True, slots=True)
class Visible:
    """The accounts that somebody may know of; None: all, those that are no longer configured too."""

    accounts: frozenset[str] | None = None

    def account(self, name: str) -> bool:
        """Whether an account is among them."""
        return self.accounts is None or name in self.accounts

    def event(self, event: Mapping[str, Any]) -> bool:
        """Whether an event may be known: it is about one of them, or about none, as a sink's."""
        name = account_of(event["data"])
        return name is None or self.account(name)


ALL = Visible()


def is_owner(uid: int) -> bool:
    """Whether a user may change what the daemon does: root and the daemon's own user."""
    return uid in {0, os.geteuid()}


def visible_to(uid: int, accounts: Sequence[AccountSettings]) -> Visible:
    """What a user sees: root and the daemon's own user everything, others what `visible_to` of an account allows.

    An account without it is seen by whoever reaches the socket.
    """
    if is_owner(uid) or not any(account.visible_to for account in accounts):
        return ALL
    names = _names_of(uid)
    return Visible(
        frozenset(one.name for one in accounts if not one.visible_to or not names.isdisjoint(one.visible_to))
    )


def _names_of(uid: int) -> frozenset[str]:
    """What `visible_to` calls a user: the name of the user, and the names of its groups, each behind an "@"."""
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        # A user that this machine does not know, as one of a container.
        return frozenset()
    return frozenset({user.pw_name, *map(_group_name, os.getgrouplist(user.pw_name, user.pw_gid))})


def _group_name(gid: int) -> str:
    try:
        return f"@{grp.getgrgid(gid).gr_name}"
    except KeyError:
        return f"@{gid}"
