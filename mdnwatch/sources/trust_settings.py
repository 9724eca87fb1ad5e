"""What every account says of whom to trust: the part of its settings by which reports are graded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mdnwatch.model.authenticity import Grade
from mdnwatch.settings import Settings


class TrustSettings(Settings):
    """Who vouches for the reports of an account, and how far they must be trusted."""

    authserv_ids: Annotated[
        tuple[Annotated[str, Field(pattern=r"^\S+$")], ...],
        Field(
            description="Names under which your own mail servers write Authentication-Results (RFC 8601 §2.5).",
            examples=[["mx.example.org"]],
        ),
    ] = ()
    verify_dkim: Annotated[
        bool, Field(description="Verify the DKIM signatures of reports; asks the DNS for the keys.")
    ] = False
    smime_trust: Annotated[
        Path | None,
        Field(description="PEM file of the authorities whose certificates S/MIME signatures of reports may bear."),
    ] = None
    min_grade: Annotated[
        Literal[Grade.AUTHENTICATED, Grade.CONSISTENT, Grade.DOUBTFUL] | None,
        Field(
            description="How far evidence about this account's mail must be trusted; default: the general min_grade."
        ),
    ] = None
