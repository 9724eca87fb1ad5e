"""What somebody tells of a message that they have sent: a copy of it, or JSON; every problem at once."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from mdnwatch.config import AccountSettings
from mdnwatch.errors import MdnwatchError
from mdnwatch.mail.addresses import addresses
from mdnwatch.mail.sent import read_sent
from mdnwatch.model.address import without_sub_address
from mdnwatch.model.sent import Requested, SentMessage
from mdnwatch.model.stored import dump
from mdnwatch.model.text import clean
from mdnwatch.problems import did_you_mean, not_one_of, quoted

T = TypeVar("T")

Document = Mapping[str, Any]

# Both come back in every event, which has room for 16 KiB in all.
MAX_REFERENCE_BYTES = 256
MAX_METADATA_BYTES = 4 * 1024

# RFC 3461 §4.4: "no more than 100 characters" in xtext.
MAX_ENVELOPE_ID = 100

# Providers give a message one other Message-ID, and on the way it may get a second.
MAX_OTHER_IDS = 10

# As many as one message may be registered with: together they have to fit in a question on the local socket.
MAX_RECIPIENTS = 10_000

# RFC 3461 §4.1
_NOTIFY = ("NEVER", "SUCCESS", "FAILURE", "DELAY")
# RFC 5322 §3.6.4 near enough: no blanks, one "@", something on both sides.
_MESSAGE_ID = re.compile(r"<?([^\s<>@]+@[^\s<>@]+)>?")


class NotUsable(MdnwatchError):
    """What was told of a sent message cannot be used; the text names every fault with the way out."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def contents(path: Path) -> bytes:
    """What a file holds; "-" is standard input. Raises NotUsable."""
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise NotUsable([f"{path}: {error.strerror}"]) from None


def object_of(text: str | None) -> Any:  # noqa: ANN401 - what it is, is checked with the rest
    """The value of an option that holds JSON. Raises NotUsable."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotUsable([f"this is no JSON: {error}"]) from None


def read(data: bytes, accounts: Sequence[AccountSettings], options: Document) -> list[SentMessage]:
    """The messages of a file: one as it was sent, or a JSON object, or a list of them.

    `options` are keys of the JSON that hold for all of them. Raises NotUsable.
    """
    documents = list(_documents(data))
    problems: list[str] = []
    found: list[SentMessage] = []
    for number, document in enumerate(documents):
        try:
            found.append(checked(_with_options(document, options), accounts))
        except NotUsable as error:
            problems += [f"[{number}].{line}" for line in error.problems] if len(documents) > 1 else error.problems
    if problems:
        raise NotUsable(problems)
    return found


def _with_options(document: Document, options: Document) -> Document:
    extra = options.get("recipients", [])
    if not isinstance(document.get("recipients", []), list):
        return {**document, **options}
    return {**document, **options, "recipients": [*document.get("recipients", []), *extra]}


def _documents(data: bytes) -> Iterator[Document]:
    if data.lstrip()[:1] not in {b"{", b"["}:
        yield _of_copy(data)
        return
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotUsable([f"this is no JSON: {error}"]) from None
    documents = value if isinstance(value, list) else [value]
    if not documents or not all(isinstance(one, dict) for one in documents):
        raise NotUsable(["this is no JSON object with the keys of a sent message, and no list of such"])
    yield from documents


def _of_copy(data: bytes) -> Document:
    sent = read_sent(data, "")
    if sent is None:
        raise NotUsable(["this is no message with a Message-ID, or it is a report: give it as it was sent, or JSON"])
    return document(sent)


def document(sent: SentMessage) -> dict[str, Any]:
    """The JSON object of a message, without what is empty."""
    facts: dict[str, Any] = {
        "message_id": sent.message_id,
        "from": sent.from_address,
        "account": sent.account,
        "recipients": list(sent.recipients),
        "sent_at": sent.date.isoformat() if sent.date else None,
        "subject": sent.subject,
        "envelope_id": sent.envelope_id,
        "other_message_ids": list(sent.other_message_ids),
        "requested": {"mdn": sent.requested.mdn, "dsn": list(sent.requested.dsn)},
        "reference": sent.reference,
        "metadata": None if sent.metadata is None else json.loads(sent.metadata),
    }
    return {key: value for key, value in facts.items() if value not in (None, "", [])}


def checked(document: Document, accounts: Sequence[AccountSettings]) -> SentMessage:
    """The message that a JSON object tells of. Raises NotUsable with every problem."""
    problems = [f"{key}: unknown key{_hint(key)}" for key in document if key not in _READERS]
    values: dict[str, Any] = {}
    for key, reader in _READERS.items():
        if document.get(key) is not None:
            try:
                values[key] = reader(document[key])
            except ValueError as error:
                problems.append(f"{key}: {error}")
    problems += [f"{key}: is missing: {way_out}" for key, way_out in _NEEDED.items() if document.get(key) is None]
    recipients = tuple(dict.fromkeys(one for key in ("to", "recipients") for one in values.get(key, ())))
    if len(recipients) > MAX_RECIPIENTS:
        problems.append(f"recipients: {len(recipients)} are more than the {MAX_RECIPIENTS} that a message may have")
    if not recipients and not problems:
        problems.append('recipients: is missing: name at least one, as in ["bob@example.org"]')
    account = ""
    try:
        if "from" in values or "account" in document:
            account = _account(document.get("account"), values.get("from", ""), accounts)
    except ValueError as error:
        problems.append(f"account: {error}")
    if problems:
        raise NotUsable(problems)
    return SentMessage(
        message_id=values["message_id"],
        from_address=values["from"],
        account=account,
        recipients=recipients,
        subject=values.get("subject", ""),
        date=values.get("sent_at"),
        requested=values.get("requested", Requested()),
        envelope_id=values.get("envelope_id"),
        reference=values.get("reference"),
        metadata=values.get("metadata"),
        other_message_ids=values.get("other_message_ids", ()),
    )


_NEEDED: Mapping[str, str] = {
    "message_id": 'add the Message-ID it was sent with, as in "<1@mail.example.org>"',
    "from": "add the address that sent it",
}


def _hint(key: str) -> str:
    return did_you_mean(key, _READERS) or "; known here: " + ", ".join(_READERS)


def _account(name: object, sender: str, accounts: Sequence[AccountSettings]) -> str:
    """The account of this name, else the one whose address sent it, else the only one."""
    names = [account.name for account in accounts]
    if name is not None:
        if name not in names:
            raise ValueError(not_one_of(name, names))
        return str(name)
    wanted = without_sub_address(sender)
    own = [one.name for one in accounts if wanted in map(without_sub_address, one.addresses)]
    found = own if own or len(names) > 1 else names
    if len(found) != 1:
        raise ValueError(f"is missing, and the sender does not tell which: name one of {', '.join(names)}")
    return found[0]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 - only these are collected
    return value


def _message_id(value: object) -> str:
    match = _MESSAGE_ID.fullmatch(_text(value).strip())
    if match is None:
        raise ValueError(f'{quoted(value)} is no Message-ID: write it like "<1@mail.example.org>"')
    return f"<{match[1]}>"


def _message_ids(value: object) -> tuple[str, ...]:
    return tuple(map(_message_id, _list(value)[:MAX_OTHER_IDS]))


def _address(value: object) -> str:
    found = addresses(_text(value))
    if len(found) != 1:
        raise ValueError(f'{quoted(value)} is not an address: write it like "sales@example.org"')
    return found[0]


def _addresses(value: object) -> tuple[str, ...]:
    return tuple(map(_address, _list(value)))


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("must be a list, in [ ]")  # noqa: TRY004 - only these are collected
    return value


def _time(value: object) -> datetime:
    try:
        time = datetime.fromisoformat(_text(value))
    except ValueError:
        raise ValueError(f'{quoted(value)} is not a time: write it like "2026-11-23T09:00:00Z"') from None
    if time.tzinfo is None:
        raise ValueError(f'{quoted(value)} has no time zone: add "Z" for UTC, or an offset like "+01:00"')
    return time.astimezone(UTC)


def _envelope_id(value: object) -> str:
    text = _text(value).strip()
    if not text or len(text) > MAX_ENVELOPE_ID or not text.isprintable():
        raise ValueError(f"must be 1 to {MAX_ENVELOPE_ID} printable characters, as given to the server before xtext")
    return text


def _requested(value: object) -> Requested:
    if not isinstance(value, dict) or not set(value) <= {"mdn", "dsn"}:
        raise ValueError('must be an object like {"mdn": true, "dsn": ["SUCCESS", "FAILURE"]}')
    mdn, dsn = value.get("mdn", False), [_text(one).upper() for one in _list(value.get("dsn", []))]
    if not isinstance(mdn, bool):
        raise ValueError("mdn must be true or false")  # noqa: TRY004 - only these are collected
    for one in dsn:
        if one not in _NOTIFY:
            raise ValueError(f"dsn: {not_one_of(one, _NOTIFY)}")
    return Requested(mdn=mdn, dsn=tuple(sorted(set(dsn))))


def _reference(value: object) -> str:
    text = _text(value)
    if not text.isprintable() or len(text.encode()) > MAX_REFERENCE_BYTES:
        raise ValueError(f"must be printable, and {MAX_REFERENCE_BYTES} bytes at most; use metadata for more")
    return text


def _metadata(value: object) -> str:
    if not isinstance(value, dict):
        raise ValueError('must be an object, like {"offer": 17}')  # noqa: TRY004 - only these are collected
    text = dump(value)
    if len(text.encode()) > MAX_METADATA_BYTES:
        raise ValueError(f"is larger than {MAX_METADATA_BYTES} bytes as JSON: keep it with you, under a reference")
    return text


def _subject(value: object) -> str:
    return clean(_text(value))


# The keys of the JSON -> how each is read; a ValueError says what is wrong.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "message_id": _message_id,
    "from": _address,
    "to": _addresses,
    "recipients": _addresses,
    "sent_at": _time,
    "subject": _subject,
    "envelope_id": _envelope_id,
    "other_message_ids": _message_ids,
    "requested": _requested,
    "reference": _reference,
    "metadata": _metadata,
    "account": _text,
}
