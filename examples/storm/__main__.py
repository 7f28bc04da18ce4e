"""The command: `python -m examples.storm [--seconds 20] [--against starlette] [--seed 1]`."""

import argparse
import asyncio
import sys
from importlib.util import find_spec

from .plan import FRAMEWORKS, Plan

NEEDED = ("uvicorn", "aiosqlite", "msgspec")


def main() -> None:
    """Run the storm, print the report, and exit with 1 if it was not good."""
    options = parse()
    frameworks = [options.only or FRAMEWORKS[0]]
    if options.against:
        frameworks.append(options.against)
    if missing := [name for name in (*NEEDED, *frameworks) if not find_spec(name)]:
        sys.exit(f"The storm needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    from .report import exit_code, summary, table
    from .side import run_side

    plan = Plan(seconds=options.seconds, seed=options.seed, port=options.port)
    results = [asyncio.run(run_side(plan, framework, say)) for framework in frameworks]
    crowd = f"{plan.healthy} healthy and {plan.rude} rude clients"
    print(f"\n{plan.seconds:g} s, seed {plan.seed}, {crowd}\n")
    print(table(results), summary(results), sep="\n\n")
    sys.exit(exit_code(results))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.storm", description="A storm over the tea shop."
    )
    parser.add_argument("--seconds", default=20.0, type=seconds, help="how long (%(default)g)")
    parser.add_argument("--seed", default=1, type=int, help="repeats the choices (%(default)s)")
    parser.add_argument("--port", default=0, type=port, help="a port, or auto (auto)")
    parser.add_argument("--against", choices=["starlette"], help="run the same shop on it as well")
    parser.add_argument("--only", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    return parser.parse_args()


def seconds(text: str) -> float:
    """Read a length of time."""
    value = float(text)
    if not 1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"expected 1 to 3600 seconds, got {text}")
    return value


def port(text: str) -> int:
    """Read a port; `auto` means any that is free."""
    return 0 if text == "auto" else int(text)


def say(text: str) -> None:
    """Show progress, apart from the report."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
