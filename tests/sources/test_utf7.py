from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.sources import utf7


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        # RFC 3501 §5.1.3
        ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("Entwürfe & Gesendetes", "Entw&APw-rfe &- Gesendetes"),
        ("Отправленные", "&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-"),
        ("📤", "&2D3c5A-"),
        ("INBOX", "INBOX"),
        ("", ""),
    ],
)
def test_names_are_written_and_read(name: str, wire: str) -> None:
    assert utf7.encode(name) == wire
    assert utf7.decode(wire) == name


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_name_comes_back(name: str) -> None:
    wire = utf7.encode(name)
    assert wire.isascii()
    assert wire.isprintable()
    assert utf7.decode(wire) == name


@pytest.mark.parametrize("wire", ["a & b", "&", "&x", "&*-", "&2D0-", "Envoyés"])
def test_what_encodes_nothing_is_left_as_it_is(wire: str) -> None:
    assert utf7.decode(wire) == wire
