"""Which sent message a report is about: a ladder of keys, of which the rung that matched is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

from mdnwatch.model.address import decode_xtext
from mdnwatch.model.report import FeedbackReport, Mdn, Reply, Report
from mdnwatch.model.sent import SentMessage
from mdnwatch.model.token import NO_KEYS, Keyring, genuine, token_key

# A report that names more identifiers than this names none in particular; the nearest are kept.
MAX_KEYS_PER_RUNG = 20


class Rung(StrEnum):
    """How a report was matched, the best first."""

    TOKEN = "token"  # noqa: S105 - a word, no secret
    ENVELOPE_ID = "envelope-id"
    ORIGINAL_MESSAGE_ID = "original-message-id"
    RETURNED_MESSAGE_ID = "returned-message-id"
    IN_REPLY_TO = "in-reply-to"
    REFERENCES = "references"
    INLINE_MESSAGE_ID = "inline-message-id"


# "Rungs that name different messages of ours are ambiguous" holds among these, which speak of one message each.
STRONG = frozenset({Rung.TOKEN, Rung.ENVELOPE_ID, Rung.ORIGINAL_MESSAGE_ID, Rung.RETURNED_MESSAGE_ID})

# Present but unknown, these stop the ladder: the report is about a message that may still appear.
STOPPING = frozenset({Rung.ORIGINAL_MESSAGE_ID, Rung.RETURNED_MESSAGE_ID})


@dataclass(frozen=True, slots=True)
class LookupKey:
    """A way to find the sent message.

    `key` is "m:" and a Message-ID with brackets, "e:" and an envelope id, or "t:" and the identity of a token.
    """

    rung: Rung
    key: str


@dataclass(frozen=True, slots=True)
class Match:
    """The report is about the sent message of this number, found by this rung."""

    message: int
    rung: Rung


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The report could be about any of these: it is told, and none is chosen."""

    messages: tuple[int, ...]


def message_id_key(message_id: str) -> str:
    """The key of a Message-ID, with or without angle brackets, folded or not."""
    return f"m:<{''.join(message_id.split()).strip('<>')}>"


def envelope_id_key(envelope_id: str) -> str:
    """The key of an envelope id as the SMTP client gave it, before xtext encoding (RFC 3461 §5.4)."""
    return f"e:{envelope_id.strip()}"


def keys_of_sent(sent: SentMessage) -> tuple[str, ...]:
    """The keys under which a sent message is found; that of its Message-ID stands first."""
    keys = [message_id_key(message_id) for message_id in (sent.message_id, *sent.other_message_ids)]
    if sent.envelope_id:
        keys.append(envelope_id_key(sent.envelope_id))
    keys += [token_key(identity) for identity, _ in sent.tokens]
    return tuple(dict.fromkeys(keys))


def lookup_keys(report: Report, token_keys: Keyring = NO_KEYS) -> tuple[LookupKey, ...]:
    """All keys of a report, in the order of the ladder, without repetition. With `token_keys` tokens are verified."""
    return tuple(dict.fromkeys(_ladder(report, token_keys)))


def _ladder(report: Report, token_keys: Keyring) -> Iterator[LookupKey]:
    for identity in genuine(report, token_keys):
        yield LookupKey(Rung.TOKEN, token_key(identity))
    if report.original_envelope_id:
        yield from _envelope_id_keys(report.original_envelope_id)
    if isinstance(report, Mdn):
        named = report.original_message_ids or ((report.original_message_id,) if report.original_message_id else ())
        yield from _message_id_keys(Rung.ORIGINAL_MESSAGE_ID, named)
    if isinstance(report, FeedbackReport) and report.original_message_id:
        yield from _message_id_keys(Rung.ORIGINAL_MESSAGE_ID, (report.original_message_id,))
    if report.returned is not None and (report.returned.message_id or report.returned.other_message_ids):
        named = (report.returned.message_id or "", *report.returned.other_message_ids)
        yield from _message_id_keys(Rung.RETURNED_MESSAGE_ID, named)
    yield from _message_id_keys(Rung.IN_REPLY_TO, report.head.in_reply_to)
    if isinstance(report, Reply) and report.automatic and report.head.in_reply_to:
        # RFC 3834 §3.1.5: In-Reply-To names the one message that is answered. It may come seconds after that was
        # sent, before the copy is known; an older message of the same conversation was not answered by it.
        return
    # The nearest ancestor stands last (RFC 5322 §3.6.4).
    yield from _message_id_keys(Rung.REFERENCES, tuple(reversed(report.head.references)))
    yield from _message_id_keys(Rung.INLINE_MESSAGE_ID, report.inline_message_ids)


def _envelope_id_keys(value: str) -> Iterator[LookupKey]:
    # RFC 3461 §6.3(a): the field holds the decoded ENVID; MTAs that leave it in xtext are tolerated.
    for form in dict.fromkeys((value.strip(), decode_xtext(value.strip()))):
        yield LookupKey(Rung.ENVELOPE_ID, envelope_id_key(form))
        # Leniency: Haraka puts the Message-ID there (haraka-HKrej); Thunderbird makes its ENVID of it.
        if "@" in form:
            yield LookupKey(Rung.ENVELOPE_ID, message_id_key(form))


def _message_id_keys(rung: Rung, message_ids: Sequence[str]) -> Iterator[LookupKey]:
    for message_id in message_ids[:MAX_KEYS_PER_RUNG]:
        forms: Iterable[str] = (message_id,)
        if "+" in message_id or "%" in message_id:
            # Leniency: ids that came through an ENVID, or through a link, are still written as there.
            forms = dict.fromkeys((message_id, decode_xtext(message_id), unquote(message_id)))
        for form in forms:
            if form.strip("<> \t"):
                yield LookupKey(rung, message_id_key(form))


def choose(
    keys: Sequence[LookupKey], found: Mapping[str, frozenset[int]], *, replaces_message_id: bool = False
) -> Match | Ambiguous | None:
    """The sent message that a report is about; None where it is not known (yet).

    `found` maps a key to the sent messages that bear it. `replaces_message_id` is for accounts whose provider
    gives the message another Message-ID on submission: there an unknown one does not stop the ladder.
    """
    rungs: dict[Rung, list[frozenset[int]]] = {}
    for key in keys:
        rungs.setdefault(key.rung, []).append(found.get(key.key, frozenset()))
    strong = frozenset[int]().union(*(hits for rung in rungs if rung in STRONG for hits in rungs[rung]))
    if len(strong) > 1:
        return Ambiguous(tuple(sorted(strong)))
    for rung in Rung:
        if rung not in rungs:
            continue
        hits = _hits(rung, rungs[rung])
        if len(hits) == 1:
            return Match(next(iter(hits)), rung)
        if hits:
            return Ambiguous(tuple(sorted(hits)))
        if rung in STOPPING and not replaces_message_id:
            return None
    return None


def _hits(rung: Rung, found: Sequence[frozenset[int]]) -> frozenset[int]:
    # The nearest id of ours counts: the farther ones are earlier mails of the same conversation.
    if rung is Rung.REFERENCES:
        return next((hits for hits in found if hits), frozenset())
    return frozenset().union(*found)
