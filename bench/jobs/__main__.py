"""How fast background jobs are, and what becomes of them while workers die and Redis is away.

    python -m bench.jobs [--parts rate high deaths redis-killed redis-silent] [--jobs 10000] [--slots 2]
                         [--away-s 20] [--database postgresql|sqlite] [--json]

- `rate`: jobs that do nothing, all queued before the worker starts: from the first that begins to the last that ends.
- `high`: milliseconds from the commit of a high job to its beginning, while a queue of low ones is never empty and the
  workers of those are busy.
- `deaths`: mixed jobs while one of two workers or one of their processes is killed every 2 s: how each has ended.
- `redis-killed`: the same, and in the middle Redis, with its append-only file, is killed and started again later. Half
  of the jobs are asked for while it is away.
- `redis-silent`: the same with a Redis that hears nobody meanwhile, and closes no connection.

Ends with 1 when fewer than 1,000 jobs a second are done, when 5 % of the high ones wait for more than 100 ms, or when a
job is lost, ends otherwise than it should, has its effect twice, or becomes a dead letter without being made to fail.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.cli import report_parser, show
from bench.jobs.report import Plan, Report, text

PARTS = ("rate", "high", "deaths", "redis-killed", "redis-silent")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("jobs", "Background jobs.")
    parser.add_argument("--parts", choices=PARTS, nargs="+", default=PARTS, help="what is measured (default: all)")
    parser.add_argument("--jobs", type=int, default=10_000, help="of each part (default %(default)s)")
    parser.add_argument("--slots", type=int, default=2, help="processes of the worker of rate (default %(default)s)")
    parser.add_argument("--away-s", type=float, default=20.0, help="how long Redis is away (default %(default)g)")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    options = parser.parse_args(arguments)
    from bench.jobs.measure import measure

    plan = Plan(options.database, options.jobs, options.slots, options.away_s)
    report: Report = measure(plan, options.parts)
    show(report, text, as_json=options.json)
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
