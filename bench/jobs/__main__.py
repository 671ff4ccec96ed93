"""How fast background jobs are, and what becomes of them while workers die.

    python -m bench.jobs [--jobs 10000] [--slots 2] [--database postgresql|sqlite] [--json]

- `rate`: jobs that do nothing, all queued before the worker starts: from the first that begins to the last that ends.
- `high`: milliseconds from the commit of a high job to its beginning, while a queue of low ones is never empty and the
  workers of those are busy.
- `chaos`: mixed jobs while one worker or one of its processes is killed every 2 s: how each has ended.

Ends with 1 when fewer than 1,000 jobs a second are done, when 5 % of the high ones wait for more than 100 ms, or when a
job has not ended as it should.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.cli import report_parser, show
from bench.jobs.report import Report, text


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("jobs", "Background jobs.")
    parser.add_argument("--jobs", type=int, default=10_000, help="of each part (default 10000)")
    parser.add_argument("--slots", type=int, default=2, help="processes of the worker (default 2)")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    options = parser.parse_args(arguments)
    from bench.jobs.measure import measure

    report: Report = measure(options.database, options.jobs, options.slots)
    show(report, text, as_json=options.json)
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
