from __future__ import annotations

import pytest

from mdnwatch.mail.comments import first_comment, strip_comments
from mdnwatch.mail.parameters import media_type, parameters


@pytest.mark.parametrize(
    ("field", "media", "found"),
    [
        ("multipart/report; boundary=abc", "multipart/report", {"boundary": "abc"}),
        ('Multipart/Report ; Boundary = "a;b\\"c" ;', "multipart/report", {"boundary": 'a;b"c'}),
        ("multipart/report (a (nested) comment; boundary=no); boundary=yes", "multipart/report", {"boundary": "yes"}),
        (
            'multipart/report; boundary="Boundary_(ID_PG)"; report-type=x',
            "multipart/report",
            {"boundary": "Boundary_(ID_PG)", "report-type": "x"},
        ),
        # A missing semicolon, a missing closing quote.
        ('multipart/mixed; a=b boundary="c d', "multipart/mixed", {"a": "b", "boundary": "c d"}),
        ("text/plain; a=1; A=2", "text/plain", {"a": "1"}),
        # RFC 2231
        ("a/b; x*0=one; x*1*=%20two", "a/b", {"x*0": "one", "x*1*": "%20two", "x": "one two"}),
        ("a/b; x*=utf-8'en'%C3%BC", "a/b", {"x*": "utf-8'en'%C3%BC", "x": "ü"}),
        ("nonsense", "", {}),
        ("", "", {}),
    ],
)
def test_media_type_and_parameters_are_read(field: str, media: str, found: dict[str, str]) -> None:
    assert media_type(field) == media
    assert parameters(field) == found


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("a (b (c) d) e", "a  e"),
        ('"a (b)" c', '"a (b)" c'),
        (r"a (b\) c) d", "a  d"),
        ("(it's \"fine) a", "a"),
        ("a (never closed", "a"),
        ("a) b (c)", "a) b"),
        ('"never closed (x) b', '"never closed  b'),
    ],
)
def test_comments_are_stripped(text: str, stripped: str) -> None:
    assert strip_comments(text) == stripped


def test_the_first_comment_is_read() -> None:
    assert first_comment("auto-replied (rejected (by rule)) (x)") == "rejected (by rule)"
    assert first_comment("auto-replied (rejected") == "rejected"
    assert first_comment("auto-replied") is None
