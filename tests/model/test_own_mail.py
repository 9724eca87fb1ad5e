from __future__ import annotations

import pytest

from mdnwatch.model.correlation import LookupKey, Rung
from mdnwatch.model.own_mail import is_about_own, is_own, message_id

OWN = message_id("0123456789abcdef0123456789abcdef", "here.example")
OTHER = "<offer@here.example>"


def key(rung: Rung, identifier: str) -> LookupKey:
    return LookupKey(rung, f"m:{identifier}")


def test_a_notice_is_known_by_its_message_id() -> None:
    assert is_own(OWN)
    assert not is_own(OTHER)
    assert not is_own(OWN.replace("notice", "offer"))


@pytest.mark.parametrize(
    ("keys", "mentioned", "own"),
    [
        ([key(Rung.ORIGINAL_MESSAGE_ID, OWN)], "", True),
        ([key(Rung.RETURNED_MESSAGE_ID, OWN), key(Rung.REFERENCES, OTHER)], "", True),
        ([key(Rung.INLINE_MESSAGE_ID, OWN)], "", True),
        ([key(Rung.IN_REPLY_TO, OWN)], "", True),
        # A bounce of somebody's answer to a notice, and of a mail with a notice attached: about messages of ours.
        ([key(Rung.RETURNED_MESSAGE_ID, OTHER), key(Rung.REFERENCES, OWN)], OWN, False),
        ([key(Rung.IN_REPLY_TO, OTHER), key(Rung.REFERENCES, OWN)], OWN, False),
        ([key(Rung.RETURNED_MESSAGE_ID, OTHER)], OWN, False),
        # Nothing that could be read says what it is about.
        ([], f"X-Something: {OWN}", True),
        ([], OTHER, False),
    ],
)
def test_what_a_report_is_about_decides(keys: list[LookupKey], mentioned: str, own: bool) -> None:  # noqa: FBT001 - a column
    assert is_about_own(keys, f"Subject: x\r\n\r\n{mentioned}\r\n".encode()) is own
