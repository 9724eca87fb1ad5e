"""What `mdnwatch init` writes: the configuration, and beside it one file for each secret."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdnwatch import private_file
from mdnwatch.errors import MdnwatchError
from mdnwatch.toml_text import toml_text

# The configuration holds no secret, and a service of another user has to read it.
CONFIG_MODE = 0o644

HEADER = """\
# Written by `mdnwatch init`. Every key that there is: config.example.toml of mdnwatch.
# Check it after a change: mdnwatch check-config FILE

"""

_NOT_IN_FILE_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Target:
    """Where everything goes; `force`: over what is there."""

    config: Path
    state_dir: Path
    force: bool = False

    def secret(self, name: str, kind: str) -> Path:
        """The file of a secret, as "sales.password"."""
        return self.config.parent / f"{_NOT_IN_FILE_NAMES.sub('_', name).strip('.') or 'account'}.{kind}"

    def refuse_to_overwrite(self, *paths: Path) -> None:
        """Raise MdnwatchError where something is there that would be lost."""
        there = [path for path in paths if path.exists() or path.is_symlink()]
        if there and not self.force:
            names = ", ".join(map(str, there))
            raise MdnwatchError(f"{names}: is there already: choose another place with --output, or say --force")

    def write(self, document: Mapping[str, Any], kept: Mapping[Path, str]) -> None:
        """Write the secrets, by their file, and then the configuration. Raises MdnwatchError."""
        self.refuse_to_overwrite(self.config, *kept)
        try:
            self.config.parent.mkdir(parents=True, exist_ok=True)
            for path, secret in kept.items():
                private_file.write(path, secret + "\n")
            private_file.write(self.config, HEADER + toml_text(document), CONFIG_MODE)
        except OSError as error:
            way_out = "choose another place with --output"
            raise MdnwatchError(f"{error.filename or self.config}: {error.strerror}: {way_out}") from None


def default_config() -> Path:
    """Where a configuration belongs: root's is the machine's, another user's a person's own."""
    if os.geteuid() == 0:
        return Path("/etc/mdnwatch/config.toml")
    return base_directory("XDG_CONFIG_HOME", ".config") / "mdnwatch" / "config.toml"


def default_state_dir() -> Path:
    """Where data belongs, likewise."""
    if os.geteuid() == 0:
        return Path("/var/lib/mdnwatch")
    return base_directory("XDG_STATE_HOME", ".local/state") / "mdnwatch"


def base_directory(variable: str, below_home: str) -> Path:
    """A person's directory of a kind: the one that a variable such as XDG_CONFIG_HOME names, or its default."""
    # XDG Base Directory Specification: a relative path is to be ignored.
    named = Path(os.environ.get(variable, ""))
    return named if named.is_absolute() else Path.home() / below_home
