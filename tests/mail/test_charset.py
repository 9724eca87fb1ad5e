from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mdnwatch.mail.charset import codec, decode
from mdnwatch.mail.words import decode_words


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("utf-8", "prüfen"),
        ("ISO-8859-1", "prüfen"),
        ("iso-8859-15", "5 €"),
        ("windows-1252", "„5 €“"),
        ("koi8-r", "прочитано"),
        ("gb2312", "已读"),
        ("big5", "已讀"),
        ("iso-2022-jp", "開封確認"),
        ("shift_jis", "開封確認"),
        ("euc-kr", "읽음"),
        ("ks_c_5601-1987", "읽음"),
        ("windows-1251", "прочитано"),
    ],
)
def test_text_is_read_by_its_label(label: str, text: str) -> None:
    assert decode(text.encode(label.replace("ks_c_5601-1987", "euc-kr")), label) == text


def test_a_label_with_a_language_is_read_without_it() -> None:
    assert codec("iso-8859-1*de") == "cp1252"


def test_utf8_under_a_wrong_label_is_still_utf8() -> None:
    assert decode("prüfen".encode(), "us-ascii") == "prüfen"
    assert decode("prüfen".encode(), "x-unknown") == "prüfen"


@pytest.mark.parametrize("label", ["punycode", "idna", "unicode_escape", "rot13", "zlib", "undefined", "\0", "a" * 500])
def test_codecs_that_are_no_charsets_are_never_used(label: str) -> None:
    assert codec(label) is None
    assert decode(b"plain", label) == "plain"


def test_bytes_that_nothing_fits_still_give_text() -> None:
    text = decode(bytes(range(256)), "utf-8")
    assert isinstance(text, str)
    assert text.encode("utf-8")


def test_a_charset_that_nobody_names_is_guessed() -> None:
    russian = "Уведомление о прочтении: ваше сообщение было прочитано получателем сегодня утром"  # noqa: RUF001 - it is Russian
    assert decode(russian.encode("windows-1251")) == russian


@pytest.mark.parametrize(
    "text", ["Übersicht „größer“ … 5 €", "Vous êtes là, à côté", "Não lida: informação", "Luettu: työpäivä", "Öö"]
)
def test_western_text_that_names_no_charset_is_read_as_windows_1252(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


@pytest.mark.slow
def test_flanker_is_imported_only_for_a_message_that_needs_it_and_says_nothing(tmp_path: Path) -> None:
    # As freshly installed: without the tables that its address parser leaves behind, and complains while making.
    installed = importlib.util.find_spec("flanker")
    assert installed is not None
    assert installed.origin is not None
    path = tmp_path / "lib"
    shutil.copytree(Path(installed.origin).parent, path / "flanker", ignore=shutil.ignore_patterns("*parsetab*"))
    script = (
        "import sys; from mdnwatch.mail.charset import decode;"
        "decode('prüfen'.encode()); assert 'flanker' not in sys.modules;"
        "decode('Vous êtes là, à côté'.encode('latin-1')); assert 'flanker' not in sys.modules;"
        "decode('Прочитано получателем'.encode('koi8-r')); assert 'flanker' in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=os.environ | {"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?b?4oCTIHByw7xmZW4=?=", "\u2013 prüfen"),
        ("Offer =?UTF-8?Q?pr=C3=BCfen?= now", "Offer prüfen now"),
        # RFC 2047 §6.2: white space between encoded words is not shown; "_" is a blank.
        ("=?UTF-8?Q?a?= =?UTF-8?Q?_b?=", "a b"),
        # Thunderbird mixes charsets in one subject.
        ("=?iso-8859-15?Q?Best=E4tigung_?= =?UTF-8?B?4oCT?=", "Bestätigung \u2013"),
        # A character cut in two between words, which RFC 2047 §5 forbids.
        ("=?utf-8?q?pr=C3?= =?utf-8?q?=BCfen?=", "prüfen"),
        ("=?utf-8?b?4oCTIHByw7xmZW4?=", "\u2013 prüfen"),
        ("=?utf-8?x?abc?= =?nothing", "=?utf-8?x?abc?= =?nothing"),
    ],
)
def test_encoded_words_are_decoded(field: str, text: str) -> None:
    assert decode_words(field) == text
