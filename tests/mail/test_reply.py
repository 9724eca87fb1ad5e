"""The named messages are real ones; the others are written from RFC 3834 and from known habits of programs."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdnwatch.mail import mime
from mdnwatch.mail.reader import read
from mdnwatch.mail.reply import read_reply
from mdnwatch.mail.return_date import find_return_date
from mdnwatch.model.report import Reply
from mdnwatch.parse import parse

SAMPLES = Path(__file__).parents[1] / "samples" / "reports"
SENT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def reply(data: bytes) -> Reply | None:
    return read_reply(mime.read(data))


def message(more: str = "", *, subject: str = "Re: Offer", text: str = "Hello\n") -> bytes:
    return (
        "From: Bob <bob@there.example>\nTo: alice@mail.example\nDate: Mon, 23 Nov 2026 09:00:00 +0000\n"
        f"Subject: {subject}\n{more}Content-Type: text/plain; charset=utf-8\n\n{text}"
    ).encode()


def is_automatic(data: bytes) -> bool:
    found = reply(data)
    return found is not None and found.automatic


@pytest.mark.parametrize(
    ("name", "keyword", "back"),
    [
        ("reply-rfc3834", "auto-replied", None),
        ("reply-exchange-latvian", None, None),
        ("reply-gmail", None, None),
        ("reply-precedence", None, None),
        ("reply-exchange-until", None, date(2008, 5, 23)),
        ("reply-icloud", None, date(2020, 1, 10)),
        ("challenge-boxtrapper", None, None),
    ],
)
def test_a_real_automatic_reply_is_one(name: str, keyword: str | None, back: date | None) -> None:
    data = (SAMPLES / f"{name}.eml").read_bytes()
    found = reply(data)
    assert found is not None
    assert (found.automatic, found.keyword, found.return_date) == (True, keyword, back)
    # Nothing of this is the reader's, on which the daemon stands.
    assert read(data) is None
    assert parse(data, "x")["kind"] == "auto-reply"


@pytest.mark.parametrize(
    ("value", "expected", "keyword"),
    [
        ("auto-replied", True, "auto-replied"),
        ("Auto-Replied (vacation)", True, "auto-replied"),
        ("auto-replied; owner-email=bob@there.example", True, "auto-replied"),
        ('auto-notified; owner-email="bob@there.example"', True, "auto-notified"),
        ("auto-generated", False, None),
        ("no", False, None),
    ],
)
def test_auto_submitted_tells_who_answered(value: str, expected: bool, keyword: str | None) -> None:  # noqa: FBT001 - a case
    # conformance 78
    found = reply(message(f"Auto-Submitted: {value}\nIn-Reply-To: <offer@mail.example>\n"))
    assert found is not None
    assert (found.automatic, found.keyword) == (expected, keyword)


def test_a_person_who_says_so_is_a_person_whatever_the_subject() -> None:
    # RFC 3834 §5
    assert not is_automatic(message("Auto-Submitted: no\nX-Autoreply: yes\n", subject="Automatic reply: Offer"))


@pytest.mark.parametrize(
    "field",
    [
        "X-Autoreply: yes",
        "X-Autorespond: 1",
        "Precedence: auto_reply",
        "X-Precedence: auto-reply",
        "X-Apple-Action: VACATION",
        "X-Mailer: vacation 3.2",
        "X-POST-MessageClass: 9; Autoresponder",
    ],
)
def test_the_fields_of_responders_tell(field: str) -> None:
    assert is_automatic(message(f"{field}\n"))


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: Offer",
        "Auto-Reply: Offer",
        "Out of Office AutoReply: Offer",
        "Out of Office: Offer",
        "AUTO: Bob Miller is out of the office. (returning 2026-12-01)",
        "AUTO: Bob Miller is out of the office (returning 2026-12-01)",
        "Out of the office until December",
        "Automatische Antwort: Angebot",
        "Abwesenheitsnotiz: Angebot",
        "R=?utf-8?q?=C3=A9?=ponse automatique : Offre",
        "Respuesta automática: Oferta",
        "Risposta automatica: Offerta",
        "Automatisch antwoord: Offerte",
        "Odpowiedź automatyczna: Oferta",
        "[Automatyczna odpowiedź] Oferta",
        "Автоматический ответ: Предложение",
        "自動返信: 見積",
        "自动回复: 报价",
        "자동 회신: 제안",
        "Otomatik yan\u0131t: Teklif",
        "不在通知: 見積",
        "Autoodpowiedź: Oferta",
        "[SPAM] Out of Office: Offer",
        "Autoresponder: Offer",
        "away from my mail",
    ],
)
def test_the_subjects_of_responders_tell(subject: str) -> None:
    assert is_automatic(message(subject=subject))


@pytest.mark.parametrize(
    "subject", ["Abwesend: Angebot", "OOO: Offer", "Afwezig: Offerte", "On vacation Re: Offer", "Absent(e) : Offre"]
)
def test_what_people_begin_subjects_with_is_a_responders_where_it_answers(subject: str) -> None:
    assert is_automatic(message("In-Reply-To: <offer@mail.example>\n", subject=subject))
    assert not is_automatic(message(subject=subject))


def test_the_vacation_program_names_itself() -> None:
    data = message().replace(b"From: Bob", b'From: "bob (via the vacation program)"')
    assert is_automatic(data)


@pytest.mark.parametrize(
    ("more", "subject"),
    [
        ("", "Re: Automatic reply: Offer"),
        ("", "Out of office supplies"),
        ("", "Auto response time of our service"),
        ("", "Vacation pictures"),
        ("", "Vacation (Italy)"),
        ("List-Id: <talk.lists.example>\n", "Out of Office: what to write"),
        ("List-Unsubscribe: <https://lists.example>\n", "Vacation!"),
        ("Precedence: bulk\n", "Newsletter"),
        ("X-Auto-Response-Suppress: All\n", "Your ticket 4711"),
        ("X-Autoreply: no\n", "Offer"),
    ],
)
def test_ordinary_mail_is_no_automatic_reply(more: str, subject: str) -> None:
    data = message(more, subject=subject)
    assert not is_automatic(data)
    assert parse(data, "x")["kind"] == "ordinary"


def test_the_null_sender_who_wants_no_answer_is_a_responder() -> None:
    assert is_automatic(message("Return-Path: <>\nPrecedence: bulk\n", subject="Thank you for your e-mail"))
    assert not is_automatic(message("Return-Path: <>\n"))


def test_a_report_of_another_kind_is_no_reply() -> None:
    head = b"Auto-Submitted: auto-replied\nFrom: a@b.example\n"
    assert reply(head + b"Content-Type: multipart/report; boundary=b\n\n--b\n\nx\n--b--") is None


def test_a_persons_answer_is_a_reply_and_ordinary_mail() -> None:
    data = message("In-Reply-To: <offer@mail.example>\n")
    found = reply(data)
    assert found is not None
    assert (found.automatic, found.keyword, found.return_date) == (False, None, None)
    assert found.head.in_reply_to == ("<offer@mail.example>",)
    assert parse(data, "x")["kind"] == "ordinary"
    assert reply(message()) is None


def test_parse_names_what_was_answered() -> None:
    line = parse(
        message("Auto-Submitted: auto-replied\nIn-Reply-To: <offer@mail.example>\n", text="Away until 1 December.\n"),
        "x",
    )
    assert line["original_message_id"] == "<offer@mail.example>"
    assert line["reply"] == {"keyword": "auto-replied", "return_date": "2026-12-01"}
    assert line["recipients"] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I am away until 2026-12-01.", date(2026, 12, 1)),
        ("I am out of office till May 23.", date(2027, 5, 23)),
        ("back in the office on Monday, 7th December 2026", date(2026, 12, 7)),
        ("I will return on December 3rd, 2026.", date(2026, 12, 3)),
        ("Ich bin bis zum 4. Dezember 2026 nicht im Büro.", date(2026, 12, 4)),
        ("Ich bin bis einschließlich Freitag, 04.12.2026 nicht erreichbar.", date(2026, 12, 4)),
        ("Ab dem 07.12.26 bin ich wieder da.", date(2026, 12, 7)),
        ("Je suis absent jusqu'au 4 décembre 2026.", date(2026, 12, 4)),
        ("Estaré fuera hasta el 4 de diciembre de 2026.", date(2026, 12, 4)),
        ("Sono assente fino al 4 dicembre 2026.", date(2026, 12, 4)),
        ("Ik ben afwezig tot en met 4 december 2026.", date(2026, 12, 4)),
        ("away until 23/12/2026", date(2026, 12, 23)),
        ("away until 12/23/2026", date(2026, 12, 23)),
        # Nothing is guessed.
        ("away until 05/12/2026", None),
        ("away until 1 December, back on 3 December", None),
        ("away until Friday", None),
        ("away until 31 February 2027", None),
        ("away until 1 December 2019", None),
        ("away until 1 December 2090", None),
        ("The offer of 4 December 2026 stands.", None),
        ("Thanks.\n> I am away until 4 December 2026", None),
        ("", None),
    ],
)
def test_the_return_date_is_told_where_it_is_plain(text: str, expected: date | None) -> None:
    assert find_return_date(text, SENT) == expected


def test_without_a_date_of_its_own_a_notice_has_no_return_date() -> None:
    assert find_return_date("away until 2026-12-01", None) is None


@given(st.text(alphabet=st.sampled_from("until bsackonty0123456789./-MayDecmbr ,"), max_size=200))
def test_no_text_whatever_raises(text: str) -> None:
    find_return_date(text, SENT)


@given(st.text(max_size=200))
def test_no_subject_whatever_raises(subject: str) -> None:
    reply(message(subject=subject.replace("\n", " ")))
