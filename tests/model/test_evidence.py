from __future__ import annotations

import pytest
from facts import SENT_AT, block, dsn, head, mdn

from mdnwatch.model.evidence import Kind, extract
from mdnwatch.model.report import Action, DispositionType, Mdn


def kinds(report: Mdn) -> list[Kind]:
    return [piece.kind for piece in extract(report, "r", SENT_AT)]


@pytest.mark.parametrize(
    ("disposition_type", "kind"),
    [
        (DispositionType.DISPLAYED, Kind.DISPLAYED),
        (DispositionType.DELETED, Kind.DELETED),
        (DispositionType.DISPATCHED, Kind.DISPATCHED),
        (DispositionType.PROCESSED, Kind.PROCESSED),
        (DispositionType.DENIED, Kind.DECLINED),  # conformance 16
        (DispositionType.FAILED, Kind.WARNING),  # never a failure of the delivery
    ],
)
def test_each_disposition_type_is_one_kind(disposition_type: DispositionType, kind: Kind) -> None:
    assert kinds(mdn(head(), disposition_type=disposition_type)) == [kind]


def refusal_signs() -> list[Mdn]:
    deleted = DispositionType.DELETED
    auto = "automatic-action"
    return [
        mdn(head(auto_submitted_comment="rejected"), disposition_type=deleted, action_mode=auto),
        mdn(head(), disposition_type=deleted, action_mode=auto, reporting_ua="mx; Dovecot Mail Delivery Agent"),
        mdn(head(), disposition_type=deleted, action_mode=auto, reporting_ua="mx; Cyrus Sieve"),
        mdn(head(from_address="postmaster@there.example"), disposition_type=deleted, action_mode=auto),
    ]


@pytest.mark.parametrize("report", refusal_signs())
def test_an_automatic_deletion_with_a_second_sign_is_a_refusal(report: Mdn) -> None:
    (piece,) = extract(report, "r", SENT_AT)
    assert (piece.kind, piece.reason) == (Kind.FAILED, "refused")


def test_exchange_not_read_is_no_refusal() -> None:
    report = mdn(head(), disposition_type=DispositionType.DELETED, action_mode="automatic-action", reporting_ua="x; y")
    assert kinds(report) == [Kind.DELETED]


@pytest.mark.parametrize("report", refusal_signs())
def test_without_automatic_action_there_is_no_refusal(report: Mdn) -> None:
    assert report.disposition is not None
    manual = mdn(
        report.head,
        disposition_type=DispositionType.DELETED,
        action_mode="manual-action",
        reporting_ua=report.reporting_ua,
    )
    assert kinds(manual) == [Kind.DELETED]


def test_an_error_modifier_is_a_warning_beside_the_kind() -> None:
    (piece,) = extract(mdn(head(), modifiers=["error", "x-unheard-of"]), "r", SENT_AT)
    assert (piece.kind, piece.warnings) == (Kind.DISPLAYED, ("error",))


def test_each_block_of_a_dsn_is_a_piece_and_an_unknown_action_is_none() -> None:
    report = dsn(
        head(), [block("a@x.example"), block("b@x.example", Action.UNKNOWN), block("c@x.example", Action.DELAYED)]
    )
    assert [(piece.block, piece.kind) for piece in extract(report, "r", SENT_AT)] == [
        (0, Kind.FAILED),
        (2, Kind.DELAYED),
    ]


def test_the_failure_of_another_address_than_the_original_names_the_member() -> None:
    report = dsn(head(), [block("member@y.example", original="list@x.example")])
    assert extract(report, "r", SENT_AT)[0].member == "member@y.example"


@pytest.mark.parametrize("original", ["Joe@x.example", "joe@X.example", "joe+40x.example", None])
def test_the_same_address_written_otherwise_is_no_member(original: str | None) -> None:
    report = dsn(head(), [block("joe@x.example", original=original)])
    assert extract(report, "r", SENT_AT)[0].member is None


def test_a_delivery_with_a_remote_mta_is_a_hand_over() -> None:
    report = dsn(head(), [block("joe@x.example", Action.DELIVERED, remote_mta="127.0.0.1")])
    assert extract(report, "r", SENT_AT)[0].handed_over_to == "127.0.0.1"


def test_foreign_text_in_details_is_cleaned() -> None:
    (piece,) = extract(mdn(head(), reporting_ua="bad\x1b[31m\u202eua"), "r", SENT_AT)
    assert piece.details["reportingUA"] == "bad[31mua"
