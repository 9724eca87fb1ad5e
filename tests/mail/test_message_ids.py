from __future__ import annotations

import pytest

from mdnwatch.mail.message_ids import inline_message_ids, message_id, message_ids, original_message_ids


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("<a@b>", ("<a@b>",)),
        (" <a@b> (comment)", ("<a@b>",)),
        ("a@b", ("<a@b>",)),
        ("<a@b", ("<a@b>",)),
        ("<<a@b>>", ("<a@b>",)),
        ("<a b@c>", ("<ab@c>",)),
        ("<a@b> <c@d>", ("<a@b>", "<c@d>")),
        ("a@b c@d", ("<a@b>", "<c@d>")),
        ("no-domain", ("<no-domain>",)),
        ('"a@b"', ("<a@b>",)),
        ("'<a@b>'", ("<a@b>",)),
        ("<a@b>;", ("<a@b>",)),
        ("a@b.", ("<a@b>",)),
        ("(the id) a@b (of yours)", ("<a@b>",)),
        ("(c@d) <a@b> (e@f)", ("<a@b>",)),
        ("<a@b>\r\n\t(comment)", ("<a@b>",)),
        ("<a-long-\r\n id@b>", ("<a-long-id@b>",)),
        ("=?us-ascii?Q?=3Ca-long=5F?=\r\n =?us-ascii?Q?id=40b=3E?=", ("<a-long_id@b>",)),
        ("mid:a@b <a@b>", ("<a@b>",)),
        ("()", ()),
        ('"', ()),
        ("=?utf-8?q?=3Ca=40b=3E?=", ("<a@b>",)),
        ("", ()),
        ("<>", ()),
    ],
)
def test_ids_are_found_however_the_field_is_written(field: str, found: tuple[str, ...]) -> None:
    assert original_message_ids(field) == found
    assert message_id(field) == (found[0] if found else None)


def test_references_keep_their_order_and_words_are_skipped() -> None:
    assert message_ids("Your message of Monday <a@b> <c@d>") == ("<a@b>", "<c@d>")
    assert message_ids("Your message") == ()
    assert message_ids(None) == ()


def test_only_labelled_ids_are_found_in_text() -> None:
    text = b"<not@this>\n  Message-id: <one@x>\nmessage ID: <one@x>\nMESSAGE-ID:\n <two@x>"
    assert inline_message_ids(text) == ("<one@x>", "<two@x>")


def test_a_text_full_of_ids_tells_nothing() -> None:
    assert inline_message_ids(b"".join(b"Message-ID: <%d@x>\n" % n for n in range(50))) == ()
