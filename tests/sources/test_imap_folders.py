from __future__ import annotations

import pytest

from mdnwatch.model.received import Role
from mdnwatch.sources import utf7
from mdnwatch.sources.imap_folders import resolve
from mdnwatch.sources.imap_grammar import Listed

DEFAULT = (("INBOX", "\\Junk"), ("\\Sent",))


def listed(name: str, *attributes: str, delimiter: str = "/") -> Listed:
    return Listed(utf7.encode(name), name, delimiter, frozenset(attribute.lower() for attribute in attributes))


def found(*boxes: Listed, role: Role = Role.SENT) -> list[tuple[str, str]]:
    return [(one.name, one.how) for one in resolve(*DEFAULT, boxes).folders if one.role is role]


def test_the_special_use_counts_before_any_name() -> None:
    boxes = [listed("INBOX"), listed("Sent"), listed("Ausgang", "\\SENT")]
    assert found(*boxes) == [("Ausgang", "by its special use \\Sent")]


@pytest.mark.parametrize(
    "name",
    [
        "Sent",
        "SENT ITEMS",
        "Gesendete Objekte",
        "Éléments envoyés",
        "E\u0301le\u0301ments envoye\u0301s",
        "Отправленные",
        "送信済みアイテム",
        "INBOX/Sent",
        "[Gmail]/Gesendet",
    ],
)
def test_without_special_use_sent_mail_is_found_by_name(name: str) -> None:
    assert found(listed("INBOX"), listed(name)) == [(name, "by its name")]


def test_every_folder_that_is_called_like_sent_mail_is_watched() -> None:
    boxes = [listed("Sent"), listed("Sent Items"), listed("Offers"), listed("Old/Sent")]
    assert [name for name, _ in found(*boxes)] == ["Sent", "Sent Items"]


def test_a_mailbox_that_holds_no_messages_is_not_taken() -> None:
    assert found(listed("Sent", "\\Noselect"), listed("Sent Items", "\\NonExistent")) == []


def test_a_missing_sent_folder_is_said_with_the_way_out() -> None:
    (junk,) = (one for one in resolve(*DEFAULT, [listed("INBOX")]).missing if one.role is Role.INBOX)
    (sent,) = (one for one in resolve(*DEFAULT, [listed("INBOX")]).missing if one.role is Role.SENT)
    assert junk.note == "the server has no folder for \\Junk"
    assert "no folder with copies of sent mail was found" in sent.note
    assert 'sent = ["Sent Items"]' in sent.note


def test_a_named_folder_is_found_as_written_and_below_inbox() -> None:
    boxes = [listed("INBOX.Archiv.Ämter", delimiter="."), listed("INBOX.Sent", delimiter=".")]
    resolved = resolve(["inbox", "INBOX.Archiv.Ämter", "Nope"], ["sent"], boxes)
    assert [(one.name, one.wire) for one in resolved.folders] == [
        ("INBOX.Sent", "INBOX.Sent"),
        ("INBOX", "INBOX"),
        ("INBOX.Archiv.Ämter", "INBOX.Archiv.&AMQ-mter"),
    ]
    assert [one.note for one in resolved.missing] == ["there is no folder Nope"]


def test_a_folder_found_twice_is_watched_once() -> None:
    resolved = resolve(["INBOX", "Sent"], ["\\Sent"], [listed("Sent", "\\Sent")])
    assert [(one.name, one.role) for one in resolved.folders] == [("Sent", Role.SENT), ("INBOX", Role.INBOX)]
