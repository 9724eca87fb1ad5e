"""HTML to text."""

from __future__ import annotations

import pytest

from mdnwatch.mail.html_text import html_to_text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<p>a</p><p>b", ["a", "b"]),
        ("a<br>b<BR/>c", ["a", "b", "c"]),
        ("<b>a</b>\n<i>b</i><br>", ["a b"]),
        ("<head><title>x</title></head>a<br>", ["a"]),
        ("<style>p{}</style>a<script>1<2</script>b<br>", ["ab"]),
        ("<!-- x -->a<br>", ["a"]),
        ("&lt;r@x.example&gt;&nbsp;:<br>", ["<r@x.example> :"]),
        ("plain\ntext", ["plain", "text"]),
        ("<pre>a\nb</pre>", ["a", "b"]),
        ("a<style>never closed", ["a"]),
        ("1 < 2", ["1 < 2"]),
    ],
)
def test_the_lines_are_those_that_a_reader_would_see(source: str, expected: list[str]) -> None:
    assert [line.strip() for line in html_to_text(source).split("\n") if line.strip()] == expected
