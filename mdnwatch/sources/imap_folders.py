"""Which of a server's mailboxes are meant: by name, by special use (RFC 6154), or by what mail programs call them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from mdnwatch.model.received import Role
from mdnwatch.sources.imap_grammar import Listed
from mdnwatch.sources.imap_names import NAMES_BY_USE

# Where providers keep the folders of a person: Courier and Cyrus below INBOX, Gmail below its own.
_PERSONAL = ("inbox", "[gmail]", "[google mail]")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to be watched. `wire` is its name for the server; `how` tells how it was found."""

    name: str
    wire: str
    role: Role
    how: str


@dataclass(frozen=True, slots=True)
class Missing:
    """What the configuration asks for and the server does not have."""

    wanted: str
    role: Role

    @property
    def note(self) -> str:
        """A sentence for people."""
        if self.wanted.lower() == "\\sent":
            return (
                "no folder with copies of sent mail was found, by special use or by name: "
                'name it in the configuration, as sent = ["Sent Items"]'
            )
        if self.wanted.startswith("\\"):
            return f"the server has no folder for {self.wanted}"
        return f"there is no folder {self.wanted}"


@dataclass(frozen=True, slots=True)
class Resolved:
    """The folders found, Sent folders first, and what is missing."""

    folders: tuple[Folder, ...]
    missing: tuple[Missing, ...]


def resolve(inboxes: Sequence[str], sent: Sequence[str], listed: Sequence[Listed]) -> Resolved:
    """Find what the configuration names; a folder that is found twice is what it was found as first."""
    folders: dict[str, Folder] = {}
    missing: list[Missing] = []
    for role, names in ((Role.SENT, sent), (Role.INBOX, inboxes)):
        for wanted in names:
            found = _find(wanted, role, [one for one in listed if one.selectable])
            for folder in found:
                folders.setdefault(folder.wire, folder)
            if not found:
                missing.append(Missing(wanted, role))
    return Resolved(tuple(folders.values()), tuple(missing))


def _find(wanted: str, role: Role, listed: Sequence[Listed]) -> list[Folder]:
    if wanted.startswith("\\"):
        return _by_use(wanted.lower(), role, listed)
    if wanted.upper() == "INBOX":
        # RFC 9051 §5.1: every user has it, in whatever case it is written.
        return [Folder("INBOX", "INBOX", role, "as named")]
    exact = [one for one in listed if wanted in (one.name, one.wire)]
    # Courier keeps all folders below INBOX: there "Sent" is "INBOX.Sent".
    found = exact or [one for one in listed if _same(wanted, _personal_name(one))]
    return [Folder(one.name, one.wire, role, "as named") for one in found[:1]]


def _by_use(use: str, role: Role, listed: Sequence[Listed]) -> list[Folder]:
    if special := [one for one in listed if use in one.attributes]:
        return [Folder(one.name, one.wire, role, f"by its special use {use.title()}") for one in special]
    known = {_folded(name) for name in NAMES_BY_USE.get(use, ())}
    # Several programs of one person may keep several such folders; each of them counts.
    return [Folder(one.name, one.wire, role, "by its name") for one in listed if _folded(_personal_name(one)) in known]


def _personal_name(one: Listed) -> str:
    """The name within the person's own folders: "Sent" for "INBOX.Sent"."""
    above, delimiter, rest = one.name.partition(one.delimiter) if one.delimiter else ("", "", one.name)
    return rest if delimiter and above.lower() in _PERSONAL else one.name


def _same(one: str, other: str) -> bool:
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
