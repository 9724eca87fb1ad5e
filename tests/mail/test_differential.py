"""The MIME reader beside those of `email` and flanker: each difference on real mail has a reason that stands here."""

from __future__ import annotations

import email
import logging
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.errors import MissingHeaderBodySeparatorDefect
from email.message import Message as EmailMessage
from pathlib import Path
from typing import Any

import pytest

from mdnwatch.mail import mime
from mdnwatch.mail.transfer import with_lf

with warnings.catch_warnings():
    # It imports modules that Python 3.13 no longer has.
    warnings.simplefilter("ignore", DeprecationWarning)
    from flanker import mime as flanker

SAMPLES = Path(__file__).parents[1] / "samples"
CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "messages"
# No message of the corpus comes near it.
WHOLE = 64 * 1024 * 1024  # bytes

# A leaf: media type, and decoded payload or None where that reader does not give one.
type_leaf = tuple[str, bytes | None]


@dataclass(frozen=True)
class Difference:
    reader: str
    what: str  # "raised", "types", "body" or "message-id"
    message: mime.Message
    ours: Any
    theirs: Any
    part: mime.Part | None = None
    broken_header: bool = False  # `email` found a line in a header that is no field

    @property
    def raw(self) -> bytes:
        return normal(self.part.data[self.part.body : self.part.end]) if self.part else b""

    @property
    def encoding(self) -> str:
        return self.part.encoding if self.part else ""


def normal(body: bytes) -> bytes:
    return b"\n".join(line.rstrip(b" \t") for line in with_lf(body).split(b"\n")).strip(b"\n")


def is_filled(leaf: type_leaf) -> bool:
    # Where nothing stands between two delimiters, flanker takes the second one for text.
    return leaf[1] is None or (leaf[1] != b"" and not leaf[1].startswith(b"--"))


def types(leaves: list[type_leaf]) -> list[str]:
    return [media for media, _ in leaves]


def not_decoded(found: Difference) -> bool:
    # `email` has joined the lines by then.
    return b"".join(found.theirs.split()) == b"".join(found.raw.split())


def is_empty_part(found: Difference) -> bool:
    if found.what == "body":
        return found.reader == "flanker" and found.ours == b"" and bool(found.theirs.startswith(b"--"))
    if found.what != "types":
        return False
    return types([*filter(is_filled, found.ours)]) == types([*filter(is_filled, found.theirs)])


def is_fallback(found: Difference) -> bool:
    return (
        found.reader == "flanker"
        and found.what == "types"
        and len(found.ours) == len(found.theirs)
        and all(
            theirs in (ours, "text/plain", "application/octet-stream")
            for ours, theirs in zip(types(found.ours), types(found.theirs), strict=True)
        )
    )


def is_text_of_flanker(found: Difference) -> bool:
    """Whether the text is the same but for the characters outside ASCII."""
    if found.reader != "flanker" or found.what != "body" or found.theirs.isascii():
        return False
    theirs = found.theirs.decode()
    charset = found.part.header().get("content-type") if found.part else None
    named = re.search(r"charset=\"?([\w-]+)", charset or "", re.IGNORECASE)
    for name in (named[1] if named else "utf-8", "utf-8", "latin-1", "gb18030", "cp932", "big5"):
        try:
            text = found.ours.decode(name, "replace")
        except LookupError:
            continue
        if re.findall(r"[!-~]+", text) == re.findall(r"[!-~]+", theirs):
            return True
    return False


DAMAGED = {"boundary-not-found", "no-boundary"}

# Looked at in this order; the first that holds explains the difference.
EXPLAINED: tuple[tuple[str, str, Callable[[Difference], bool]], ...] = (
    (
        "flanker gives up",
        "It raises on multiparts without their boundary and on base64 with foreign bytes; reports come so, too.",
        lambda found: found.what == "raised" and found.theirs in {"DecodingError", "ValueError", "AttributeError"},
    ),
    (
        "boundary replaced",
        "The boundary is not declared or not there: we take the one that the body shows, or else leave it whole.",
        lambda found: found.what in {"types", "body"} and bool(DAMAGED & set(found.message.defects)),
    ),
    (
        "empty part",
        "A delimiter with nothing after it opens one more part for the others, or holds flanker's text.",
        is_empty_part,
    ),
    (
        "cut off",
        "The closing delimiter is missing: flanker adds a part or takes the last one for text.",
        lambda found: found.reader == "flanker" and "no-closing-boundary" in found.message.defects,
    ),
    (
        "header goes on",
        "A line that is no field ends the header for the others, and the rest becomes text; we skip the line.",
        lambda found: found.broken_header,
    ),
    (
        "Content-Type without semicolon",
        "The parameters follow in a folded line: `email` makes them a part of the type.",
        lambda found: found.what == "types" and any("\n" in media for media in types(found.theirs)),
    ),
    (
        "flanker falls back",
        "Where it cannot read a returned message or a type, it calls the part text/plain or octet-stream.",
        is_fallback,
    ),
    (
        "uuencode",
        "An encoding that MIME does not have (RFC 2045 §6.1 names five), and that no report was seen in.",
        lambda found: found.what == "body" and "uu" in found.encoding,
    ),
    (
        "damaged base64",
        "We read what is readable; the others hand out the encoded text.",
        lambda found: found.what == "body" and found.encoding == "base64" and not_decoded(found),
    ),
    (
        "mechanism with more after it",
        "Content-Transfer-Encoding goes on after the mechanism: `email` does not know it then.",
        lambda found: found.what == "body" and found.encoding == "quoted-printable" and not_decoded(found),
    ),
    (
        "two encodings",
        "Of two Content-Transfer-Encoding fields the topmost counts for us, as of any field; the last for flanker.",
        lambda found: found.part is not None and len(found.part.header().all("content-transfer-encoding")) > 1,
    ),
    (
        "no-break space",
        "In HTML, flanker writes the character as an entity.",
        lambda found: found.what == "body" and found.ours.replace("\u00a0".encode(), b"&nbsp;") == found.theirs,
    ),
    (
        "text by its charset",
        "flanker gives characters, by a charset that it may have guessed; the bytes are the same.",
        is_text_of_flanker,
    ),
    (
        "internationalised header",
        "A field in UTF-8 (RFC 6532) is for `email` compat32 an object of unknown charset.",
        lambda found: found.what == "message-id" and found.reader == "email" and not found.ours.isascii(),
    ),
)


def our_leaves(message: mime.Message) -> tuple[list[mime.Part], list[type_leaf]]:
    parts = [part for part in mime.walk(message.root) if not part.parts]
    return parts, [(part.media_type, normal(part.content(WHOLE))) for part in parts]


def leaves_of_email(root: EmailMessage) -> Iterator[type_leaf]:
    if root.get_content_maintype() == "multipart" and root.is_multipart():
        for part in root.get_payload():
            assert isinstance(part, EmailMessage)
            yield from leaves_of_email(part)
    elif root.is_multipart():
        # A returned message, which we leave unread.
        yield root.get_content_type(), None
    else:
        body = root.get_payload(decode=True)
        yield root.get_content_type(), normal(body if isinstance(body, bytes) else b"")


def leaves_of_flanker(root: Any) -> Iterator[type_leaf]:  # noqa: ANN401 - flanker has no types
    if root.content_type.is_multipart():
        for part in root.parts:
            yield from leaves_of_flanker(part)
        return
    media = root.content_type.value.lower()
    if root.content_type.is_message_container() or root.content_type.is_headers_container() or root.body is None:
        # Read as a message, a header or a list of fields: its bytes are not given.
        yield media, None
    else:
        body = root.body
        yield media, normal(body.encode("utf-8", "replace") if isinstance(body, str) else body)


def compared(
    reader: str, message: mime.Message, theirs: list[type_leaf], identity: object, *, broken: bool
) -> Iterator[Difference]:
    parts, ours = our_leaves(message)
    if types(ours) != types(theirs):
        yield Difference(reader, "types", message, ours, theirs, broken_header=broken)
    else:
        for part, (_, body), (_, other) in zip(parts, ours, theirs, strict=True):
            if other is not None and body != other:
                yield Difference(reader, "body", message, body, other, part, broken)
    own = " ".join((message.header.get("message-id") or "").split())
    if own != " ".join(str(identity or "").split()):
        yield Difference(reader, "message-id", message, own, identity, broken_header=broken)


def differences(data: bytes) -> Iterator[Difference]:
    message = mime.read(data)
    root = email.message_from_bytes(with_lf(data))
    broken = any(
        isinstance(defect, MissingHeaderBodySeparatorDefect) for part in root.walk() for defect in part.defects
    )
    yield from compared("email", message, [*leaves_of_email(root)], root.get("message-id"), broken=broken)
    try:
        other = flanker.from_string(data)
        leaves, identity = [*leaves_of_flanker(other)], other.headers.get("Message-Id")
    except Exception as error:  # noqa: BLE001 - flanker raises what it meets; the name is compared with those known
        yield Difference("flanker", "raised", message, None, type(error).__name__)
    else:
        yield from compared("flanker", message, leaves, identity, broken=broken)


def explanation(found: Difference) -> str | None:
    return next((name for name, _, holds in EXPLAINED if holds(found)), None)


def check(folder: Path) -> Counter[str]:
    explained: Counter[str] = Counter()
    unexplained = []
    for path in sorted(folder.rglob("*.eml")):
        for found in differences(path.read_bytes()):
            name = explanation(found)
            if name is None:
                seen = found.ours, found.theirs
                if found.what == "types":
                    seen = types(found.ours), types(found.theirs)
                texts = [str(value)[:200] for value in seen]
                unexplained.append(f"{path.name} {found.reader} {found.what} {found.encoding} {texts}")
            else:
                explained[name] += 1
    assert unexplained == []
    return explained


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    # flanker writes a line for each oddity.
    caplog.set_level(logging.CRITICAL)


def test_each_difference_on_the_samples_has_a_reason() -> None:
    check(SAMPLES)


@pytest.mark.collection
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the shared collection of messages is not here")
def test_each_difference_on_the_shared_collection_has_a_reason_and_each_reason_a_difference() -> None:
    explained = check(CORPUS)
    print(explained.most_common())  # noqa: T201 - shown by `pytest -s`
    assert set(explained) == {name for name, _, _ in EXPLAINED}
