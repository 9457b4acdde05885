"""Run one benchmark: ``python -m benchmarks NAME [--quick] [--json]``."""

import argparse
import sys
from importlib import import_module

from . import BENCHMARKS
from ._report import print_rows, save


def main(argv):
    """Parse the command line, run the benchmark, print its rows as they come."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="name", metavar="NAME", required=True)
    module = None
    for name, what in BENCHMARKS.items():
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("--quick", action="store_true", help="fewer repeats, less data")
        command.add_argument(
            "--json",
            nargs="?",
            const=True,
            metavar="FILE",
            help=f"write the results to FILE (default benchmarks/results/{name}.json)",
        )
        if argv[:1] == [name]:  # import what is run, nothing else
            module = import_module(f".{name}", __package__)
            module.add_arguments(command)
    args = parser.parse_args(argv)
    rows = print_rows(module.run(args))
    if args.json:
        print(f"\nwritten: {save(args, argv, rows)}")


if __name__ == "__main__":
    main(sys.argv[1:])
