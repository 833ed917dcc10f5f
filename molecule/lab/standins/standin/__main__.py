"""``python -m standin serve | healthcheck | migrate [--status | --head]``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from types import FrameType

from .log import start_logging
from .settings import Settings, SettingsError, read_identity, read_settings

STOPPED = 128 + signal.SIGTERM


def main(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 failed, 2 settings or arguments are wrong."""
    parser = argparse.ArgumentParser(prog="standin")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve until SIGTERM")
    commands.add_parser("healthcheck", help="ask the own health address")
    migrate = commands.add_parser("migrate", help="apply pending schema migrations")
    only = migrate.add_mutually_exclusive_group()
    only.add_argument("--status", action="store_true", help="change nothing, print what is applied and pending")
    only.add_argument("--head", action="store_true", help="print the head of this release, without a database")
    chosen = parser.parse_args(arguments)
    # The first process of a container gets no signal it has no handler for: without this a stop that comes while
    # modules are imported, or during a migration, is lost.
    signal.signal(signal.SIGTERM, _leave)
    try:
        return _run(chosen)
    except SettingsError as error:
        print(json.dumps({"level": "error", "event": "settings refused", "error": str(error)}), file=sys.stderr)
        return 2


def _run(chosen: argparse.Namespace) -> int:
    # Imported when needed: a health check every few seconds is not to load a web framework.
    if chosen.command == "healthcheck":
        from .healthcheck import run_healthcheck  # noqa: PLC0415

        return run_healthcheck(read_settings(os.environ))
    if chosen.command == "serve":
        return _serve(read_settings(os.environ))
    from .migrate import print_head, run_migrate, run_status  # noqa: PLC0415

    if chosen.head:
        return print_head(read_identity(os.environ))
    settings = read_settings(os.environ)
    start_logging(settings, stream=sys.stderr)
    return run_status(settings) if chosen.status else run_migrate(settings)


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(STOPPED)


def _serve(settings: Settings) -> int:
    from .server import run_serve  # noqa: PLC0415

    start_logging(settings)
    return run_serve(settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
