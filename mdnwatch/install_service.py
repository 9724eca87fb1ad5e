"""Puts the files in place by which systemd, sysusers, tmpfiles and logrotate know mdnwatch, and says what it did."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mdnwatch.errors import MdnwatchError
from mdnwatch.init_files import base_directory

# What the units call the program, as README installs it.
PROGRAM = Path("/opt/mdnwatch/bin/mdnwatch")

# The system unit sees none of these (ProtectHome=, PrivateTmp=).
HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - named, not used

# Each file below `systemd/` and its place.
SYSTEM = {
    "mdnwatch.service": Path("/etc/systemd/system/mdnwatch.service"),
    "mdnwatch.sysusers": Path("/etc/sysusers.d/mdnwatch.conf"),
    "mdnwatch.tmpfiles": Path("/etc/tmpfiles.d/mdnwatch.conf"),
    "mdnwatch.logrotate": Path("/etc/logrotate.d/mdnwatch"),
}
# Of a person's own service; below ~/.config, or in a package for everybody, below /etc.
USER = {
    "user/mdnwatch.service": Path("systemd/user/mdnwatch.service"),
    "user/mdnwatch-notify.service": Path("systemd/user/mdnwatch-notify.service"),
}

SYSTEM_NEXT = (
    "systemd-sysusers && systemd-tmpfiles --create mdnwatch.conf",
    "systemctl daemon-reload && systemctl enable --now mdnwatch",
)
USER_NEXT = (
    "systemctl --user daemon-reload",
    "systemctl --user enable --now mdnwatch-notify    # what is told, on your desktop",
    "systemctl --user enable --now mdnwatch && loginctl enable-linger    # a daemon of your own, where none runs",
)

FILE_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: `root` is put before every path, for packages; `program` is what the units start."""

    user: bool = False
    root: Path | None = None
    program: Path | None = None
    force: bool = False


def run(order: Order) -> Iterator[str]:
    """Write the files: a line for each, and then what is to be done next.

    Raises MdnwatchError; then nothing was written, unless a disk has failed.
    """
    program = (order.program or Path(sys.executable).with_name("mdnwatch")).absolute()
    _check(program, order)
    wanted = {place: _content(name, program) for name, place in _places(order)}
    differing = [place for place, content in wanted.items() if place.exists() and place.read_bytes() != content]
    if differing and not order.force:
        names = ", ".join(map(str, differing))
        raise MdnwatchError(f"{names}: is there already and differs: look at it, and say --force to write over it")
    for place, content in wanted.items():
        yield _put(place, content, changed=place in differing)
    if order.root is None:
        yield "next:"
        yield from (f"  {line}" for line in (USER_NEXT if order.user else SYSTEM_NEXT))


def _check(program: Path, order: Order) -> None:
    if not program.exists() and order.root is None:
        raise MdnwatchError(f"{program} does not exist: name the program with --program")
    if not order.user and any(program.is_relative_to(hidden) for hidden in HIDDEN):
        raise MdnwatchError(
            f"{program}: a system service cannot see it there: install mdnwatch into /opt/mdnwatch "
            "(python3 -m venv /opt/mdnwatch && /opt/mdnwatch/bin/pip install .), or use --user"
        )


def _places(order: Order) -> Iterator[tuple[str, Path]]:
    base = base_directory("XDG_CONFIG_HOME", ".config") if order.root is None else Path("/etc")
    for name, place in (USER if order.user else SYSTEM).items():
        absolute = base / place
        yield name, absolute if order.root is None else order.root / absolute.relative_to("/")


def _content(name: str, program: Path) -> bytes:
    text = resources.files("mdnwatch").joinpath("units", name).read_text("utf-8")
    return text.replace(str(PROGRAM), str(program)).encode("utf-8")


def _put(place: Path, content: bytes, *, changed: bool) -> str:
    if place.exists() and not changed:
        return f"unchanged  {place}"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}.new")
        draft.write_bytes(content)
        draft.chmod(FILE_MODE)
        draft.replace(place)
    except OSError as error:
        way_out = "become root, or use --user" if isinstance(error, PermissionError) else "choose another --root"
        raise MdnwatchError(f"{error.filename or place}: {error.strerror}: {way_out}") from None
    return f"{'replaced' if changed else 'written':9}  {place}"
