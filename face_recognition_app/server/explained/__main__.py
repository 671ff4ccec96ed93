"""python -m server.explained [--flag VARIABLE=FLAG]...: what run_gunicorn.sh --print-config prints."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from config.job_settings import load_job_settings
from config.settings import SettingsError, load
from config.sizing.machine import this_machine
from server.explained.origins import Source
from server.explained.rows import Row, rows

WIDEST_VALUE = 40
LEAST_MEANING = 40


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="server.explained", description="Explains the configuration.")
    parser.add_argument("--flag", action="append", default=[], metavar="VARIABLE=FLAG", help="a flag that was given")
    options = parser.parse_args(arguments)
    try:
        source = Source(load(), os.environ, dict(one.split("=", 1) for one in options.flag))
        found = list(rows(source, load_job_settings(), this_machine()))
    except SettingsError as error:
        sys.stderr.write(f"configuration error: {error}\n")
        return 1
    width = shutil.get_terminal_size((160, 24)).columns
    sys.stdout.writelines(f"{line}\n" for line in table(found, width))
    return 0


def table(found: Sequence[Row], width: int) -> Iterator[str]:
    """Lines of at most `width` characters, where values and names leave room for the meaning."""
    head = Row("SETTING", "VALUE", "FROM", "MEANING")
    everything = [head, *found]
    names = max(len(row.name) for row in everything)
    values = min(WIDEST_VALUE, max(len(row.value) for row in everything))
    origins = max(len(row.origin) for row in everything)
    left = names + values + origins + 6
    for row in everything:
        meaning = textwrap.wrap(row.meaning, max(LEAST_MEANING, width - left)) or [""]
        yield f"{row.name:{names}}  {row.value:{values}}  {row.origin:{origins}}  {meaning[0]}".rstrip()
        yield from (" " * left + line for line in meaning[1:])


if __name__ == "__main__":
    sys.exit(main())
