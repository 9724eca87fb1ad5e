"""`mdnwatch run`: the daemon."""

from __future__ import annotations

from mdnwatch.commands.app import DEFAULT_CONFIG, ConfigFile, app, in_loop


@app.command()
def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Watch the accounts of the configuration until stopped (SIGTERM, Ctrl-C)."""
    import structlog

    from mdnwatch import daemon, log
    from mdnwatch.config import load, warnings

    loaded = load(config)
    log.configure(loaded.log.level, loaded.log.format)
    for warning in warnings(loaded, config):
        structlog.get_logger().warning(warning)
    in_loop(daemon.run(loaded, config))
