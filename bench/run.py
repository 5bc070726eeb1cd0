"""Measures every model on every emulated core, and the peers, and writes results, tables and charts.

    python bench/run.py                       everything; writes bench/results.json and what follows from it
    python bench/run.py --only kws_int8       some; prints, and writes nothing
    python bench/run.py --only /rv32imc --update  some; the others stay as results.json has them
    python bench/run.py --render              measures nothing; writes tables and charts from results.json

It needs the model zoo (TINSMITH_ZOO), compilers and emulators; peers and charts if they are installed.
"""

from __future__ import annotations

import argparse
import json
import sys

import peers
import pool
import report
import results
import suite
from results import Results

from tinsmith.pipeline import write_files


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="MODEL[/TARGET[/MODE]]",
                        help="measure these alone, without peers; may be repeated; MODEL may be empty")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--update", action="store_true", help="with --only: put these into results.json")
    parser.add_argument("--render", action="store_true", help="write tables and charts from results.json")
    parser.add_argument("--jobs", type=int, default=2, help="measurements at a time (default: %(default)s)")
    return parser.parse_args()


def measured(only: list[str], jobs: int, quiet: bool) -> Results:
    """Measures what a filter names, or everything with the peers. Raises TinsmithError if something fails."""
    own = suite.tasks(only)
    found = {} if only else peers.installed()
    others = peers.tasks(found)
    # The longest first: no core idles at the end.
    rows = pool.run([*sorted(own, key=_weight), *others], jobs, quiet)
    figures, refused = peers.collected([rows[task] for task in others])
    tools = suite.tool_versions({task.target for task in own})
    return results.assembled([rows[task] for task in own], figures, refused, tools, found)


def _weight(task: suite.Task) -> int:
    return -suite.MODELS[task.model].stat().st_size


def write(found: Results) -> None:
    """Results, and everything that is derived from them."""
    write_files({suite.RESULTS.name: results.text(found)}, suite.RESULTS.parent)
    report.write(found)


def main() -> int:
    options = arguments()
    if options.render:
        report.write(results.load())
        return 0
    found = measured(options.only, options.jobs, quiet=not sys.stderr.isatty())
    if not options.only:
        write(found)
        for sentence in peers.absent():
            print(f"note: {sentence}", file=sys.stderr)
    elif options.update:
        write(results.updated(results.load(), found))
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        report.show(found)
    return 0


if __name__ == "__main__":
    sys.exit(pool.guarded(main))
