"""What `mdnwatch parse` does: files, standard input, Maildirs and mboxes to one JSON object per message."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from mdnwatch.mail import mime
from mdnwatch.mail.reader import read_message
from mdnwatch.mail.recognise import ARF, DSN, MDN, is_as2
from mdnwatch.mail.reply import read_reply
from mdnwatch.model.address import forms, plain
from mdnwatch.model.reason import meaning
from mdnwatch.model.report import (
    Action,
    Disposition,
    Dsn,
    FeedbackReport,
    Malformed,
    Mdn,
    RecipientBlock,
    Reply,
    Report,
    Typed,
)
from mdnwatch.model.text import clean

type_json = dict[str, object]

STANDARD_INPUT = "-"

_KIND_OF_DECLARED = ((MDN, "mdn"), (DSN, "dsn"), (ARF, "arf"))

# Formats of a delivery status notification that some standard has: RFC 3464, RFC 6109, RFC 2634.
_STANDARD = frozenset({"rfc3464", "pec", "smime-receipt"})


def parse(data: bytes, name: str) -> type_json:
    """What one message is: the JSON object that a line of output holds. `name` stands in it as `file`."""
    message = mime.read(data)
    report = read_message(message)
    line: type_json = {
        "file": name,
        "kind": _kind(report),
        "format": None,
        "original_message_id": None,
        "original_envelope_id": None,
        "recipients": [],
        "mdn": None,
        "defects": [],
    }
    if isinstance(report, Malformed):
        returned = report.returned
        line |= {
            "original_message_id": _text(returned.message_id) if returned else None,
            "defects": [*report.defects, "malformed"],
        }
    elif report is None:
        line |= _of_reply(read_reply(message))
    else:
        line |= _of_report(report)
        if is_as2(message.header):
            # RFC 4130: a receipt of business data, which the daemon leaves alone.
            line["format"] = "as2"
    return line


def _kind(report: Report | Malformed | None) -> str:
    if report is None:
        return "ordinary"
    if isinstance(report, Malformed):
        return dict(_KIND_OF_DECLARED)[report.declared]
    if isinstance(report, Mdn):
        return "mdn"
    if isinstance(report, FeedbackReport):
        return "arf"
    return "dsn" if report.format in _STANDARD else "nonstandard-bounce"


def _of_reply(reply: Reply | None) -> type_json:
    """What an automatic reply is; a person's is ordinary mail."""
    if reply is None or not reply.automatic:
        return {}
    answered = reply.head.in_reply_to
    return {
        "kind": "auto-reply",
        "original_message_id": _text(answered[0]) if len(answered) == 1 else None,
        "reply": {
            "keyword": reply.keyword,
            "return_date": reply.return_date.isoformat() if reply.return_date else None,
        },
        "defects": list(reply.defects),
    }


def _of_report(report: Report) -> type_json:
    found: type_json = {
        "format": report.format,
        "original_message_id": _text(_original_message_id(report)),
        "original_envelope_id": _text(report.original_envelope_id),
        "defects": list(report.defects),
    }
    if isinstance(report, Mdn):
        final = report.final_recipient
        recipients = [_recipient(final, report.original_recipient)] if final or report.original_recipient else []
        return found | {"recipients": recipients, "mdn": _mdn(report)}
    if isinstance(report, FeedbackReport):
        recipients = [_recipient(Typed("rfc822", address), None) for address in report.original_rcpt_to]
        return found | {"recipients": recipients, "feedback": _feedback(report)}
    if not isinstance(report, Dsn):
        return found
    # Sendmail repeats a recipient whose alias leads back to it; once says it all.
    lines: dict[tuple[object, object], type_json] = {}
    for block in report.recipients:
        line = _of_block(block)
        lines.setdefault((line["address"], line["action"]), line)
    return found | {"recipients": list(lines.values())}


def _original_message_id(report: Report) -> str | None:
    """As the report says it, else as the returned part does, else as the only one that its text names."""
    if isinstance(report, Mdn | FeedbackReport) and report.original_message_id:
        return report.original_message_id
    if report.returned is not None and report.returned.message_id:
        return report.returned.message_id
    return report.inline_message_ids[0] if len(report.inline_message_ids) == 1 else None


def _of_block(block: RecipientBlock) -> type_json:
    return (
        _recipient(block.final_recipient, block.original_recipient)
        | {
            "action": block.action.value,
            "status": block.status,
            "diagnostic_code": _typed(block.diagnostic_code),
        }
        | _meaning(block)
    )


def _meaning(block: RecipientBlock) -> type_json:
    # What became of the message is only a question where it was not delivered.
    if block.action not in {Action.FAILED, Action.DELAYED}:
        return {"hard": False, "permanent": False, "reason": None}
    means = meaning(block)
    return {"hard": means.hard, "permanent": means.permanent, "reason": means.reason.value}


def _recipient(final: Typed | None, original: Typed | None) -> type_json:
    # What holds no "@" is a local user, or a recipient of another kind of mail.
    named = (*forms(final), *forms(original), *(plain(typed.value) for typed in (final, original) if typed))
    return {
        "address": next((_text(address) for address in named if address), None),
        "original_recipient": _typed(original),
        "action": None,
        "status": None,
        "diagnostic_code": None,
    }


def _mdn(report: Mdn) -> type_json:
    disposition = report.disposition or Disposition(None, None, None, "")
    return {
        "type": _text(disposition.type_as_sent),
        "action_mode": _text(disposition.action_mode),
        "sending_mode": _text(disposition.sending_mode),
        "modifiers": [clean(modifier) for modifier in disposition.modifiers],
        "reporting_ua": _text(report.reporting_ua),
        "final_recipient": _typed(report.final_recipient),
        "original_recipient": _typed(report.original_recipient),
    }


def _feedback(report: FeedbackReport) -> type_json:
    arrived = report.arrival_date
    return {
        "type": _text(report.feedback_type),
        "user_agent": _text(report.user_agent),
        "original_mail_from": _text(report.original_mail_from),
        "arrival_date": arrived.isoformat() if arrived else None,
        "reported_domain": [clean(domain) for domain in report.reported_domain],
        "incidents": report.incidents,
    }


def _typed(value: Typed | None) -> str | None:
    if value is None:
        return None
    return clean(f"{value.type}; {value.value}" if value.type else value.value)


def _text(value: str | None) -> str | None:
    return None if value is None else clean(value)


def messages(paths: Iterable[str], *, mbox: bool = False) -> Iterator[tuple[str, bytes]]:
    """The messages that paths name: name and bytes.

    A path is a file, "-" for standard input, or a Maildir. With `mbox`, files are split and named `file#N`, from 1.
    Raises OSError where a path cannot be read.
    """
    for path in paths:
        if path == STANDARD_INPUT:
            yield from _of_file(sys.stdin.buffer, path, mbox=mbox)
        elif Path(path).is_dir():
            yield from _of_maildir(path)
        else:
            with Path(path).open("rb") as file:
                yield from _of_file(file, path, mbox=mbox)


def _of_maildir(path: str) -> Iterator[tuple[str, bytes]]:
    folders = [Path(path, name) for name in ("cur", "new")]
    if not all(folder.is_dir() for folder in folders):
        raise NotADirectoryError(0, "is a directory, but no Maildir: it has no cur and new", path)
    for folder in folders:
        for file in sorted(folder.iterdir()):
            yield str(file), file.read_bytes()


def _of_file(file: BinaryIO, name: str, *, mbox: bool) -> Iterator[tuple[str, bytes]]:
    if not mbox:
        yield name, file.read()
        return
    for number, data in enumerate(split_mbox(file), start=1):
        yield f"{name}#{number}", data


def split_mbox(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The messages of an mbox (RFC 4155, in the "mboxrd" form), without their "From " lines."""
    message: list[bytes] = []
    begun = False
    after_blank = True
    for line in lines:
        if after_blank and line.startswith(b"From "):
            if begun:
                yield b"".join(message)
            message, begun = [], True
        elif begun or line.strip():
            begun = True
            message.append(line[1:] if line.startswith(b">") and line.lstrip(b">").startswith(b"From ") else line)
        after_blank = not line.strip(b"\r\n")
    if begun:
        yield b"".join(message)


def run(paths: Iterable[str], out: TextIO, errors: TextIO, *, mbox: bool = False) -> int:
    """Print a line for each message; 1 where a path could not be read (the others are), else 0."""
    status = 0
    for path in paths:
        try:
            # ASCII only: whatever the terminal, and whatever bytes a file name holds.
            out.writelines(json.dumps(parse(data, name)) + "\n" for name, data in messages([path], mbox=mbox))
        except OSError as error:
            errors.write(f"{path}: {error.strerror}\n")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], sys.stdout, sys.stderr))
