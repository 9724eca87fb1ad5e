"""`mdnwatch run`: the daemon."""

from __future__ import annotations

import sys

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app, in_loop


@app.command()
def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Watch the accounts of the configuration until stopped (SIGTERM, Ctrl-C)."""
    # structlog loads rich where it finds it, for traces of a kind that `log` never shows: 4 MiB, for good.
    sys.modules["rich"] = None  # type: ignore[assignment] # `import` takes it for "not there"
    import structlog

    del sys.modules["rich"]

    from mdnwatch import daemon, log
    from mdnwatch.config import load, warnings

    loaded = load(config)
    log.configure(loaded.log.level, loaded.log.format)
    for warning in warnings(loaded, config):
        structlog.get_logger().warning(warning)
    in_loop(daemon.run(loaded, config))
