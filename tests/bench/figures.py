"""A figure beside its floor: how it is judged, and the line of the table that tells it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `holds` is None where nothing is judged; `floor` is None where there is none."""

    what: str
    unit: str
    ours: float | None
    floor: float | None
    compared: str
    target: str
    holds: bool | None


def at_most_times(what: str, unit: str, ours: float, floor: float, times: float) -> Figure:
    """A cost, which may be so many times the floor's."""
    ratio = ours / floor
    return Figure(what, unit, ours, floor, f"x{ratio:.2f}", f"at most x{times:g}", ratio <= times)


def at_least_times(what: str, unit: str, ours: float, floor: float, times: float) -> Figure:
    """A rate, which has to be so many times the floor's."""
    ratio = ours / floor
    return Figure(what, unit, ours, floor, f"x{ratio:.2f}", f"at least x{times:g}", ratio >= times)


def at_most_above(what: str, unit: str, ours: float, floor: float, limit: float) -> Figure:
    """A cost, which may be so much above the floor's."""
    above = ours - floor
    return Figure(what, unit, ours, floor, f"{above:+.3g}", f"at most +{limit:g}", above <= limit)


def at_most(what: str, unit: str, ours: float, limit: float) -> Figure:
    """A cost with a limit of its own."""
    return Figure(what, unit, ours, None, "", f"at most {limit:g}", ours <= limit)


def must_be(what: str, *, ours: bool) -> Figure:
    """Something that is so, or is not."""
    return Figure(what, "", None, None, "yes" if ours else "no", "yes", ours)


def told(what: str, unit: str, ours: float, floor: float | None = None) -> Figure:
    """A figure without a target, for those who want to know."""
    compared = f"x{ours / floor:.2f}" if floor else ""
    return Figure(what, unit, ours, floor, compared, "", None)


def left_out(what: str, reason: str) -> Figure:
    """What could not be measured here, and why."""
    return Figure(f"{what}: left out, {reason}", "", None, None, "", "", None)


def failed(what: str, error: Exception) -> Figure:
    """A measurement that did not come to its end."""
    return Figure(f"{what}: {type(error).__name__}", "", None, None, "", "to be measured", False)  # noqa: FBT003 - `holds`


def p95(values: Sequence[float]) -> float:
    """The value that 95 of 100 do not exceed."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


_HEADINGS = ("", "mdnwatch", "floor", "", "compared", "target", "")


def table(figures: Iterable[Figure]) -> str:
    """All figures, one a line."""
    rows = [_HEADINGS, *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return "\n".join(_line(row, widths) for row in rows)


def _row(one: Figure) -> tuple[str, ...]:
    verdict = {True: "ok", False: "MISSED", None: ""}[one.holds]
    return (one.what, _number(one.ours), _number(one.floor), one.unit, one.compared, one.target, verdict)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    # Numbers stand at the right of their columns.
    cells = [
        cell.rjust(width) if column in {1, 2, 4} else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
