"""`koreai report`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import gantt
from .changes import ChangeKind
from .engine_json import Digest, ReadingError, read_engine_json
from .preview import Preview
from .run import Report

FINE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
REFUSED: Final = 3

MAX_CHARS: Final = 60_000
"""Of a report: GitHub's limit for a comment is 65,536, and what puts it there may add words of its own."""
LEAST_MAX_CHARS: Final = 20_000

_EPILOG: Final = f"""\
exit status:
  {FINE}  the report is written
  {FAILED}  it is written; the preview or the run that it is about has failed
  {USAGE}  there is nothing to report on, --gantt's file can't be written, or the command line is wrong
  {REFUSED}  it is written; the preview has what --fail-on names

--fail-on:
  undeploy  a model is undeployed, and not deployed again, or may be: that is known only in the run
  replace   a model is replaced by another
  cut-off   callers are cut off, for a while or for good, or may be
  warning   the report has a warning
  change    anything changes, resources that are no models included
"""


def _has(preview: Preview, what: str) -> bool:
    def any_is(*kinds: ChangeKind) -> bool:
        return any(change.kind in kinds for change in preview.changing)

    match what:
        case "undeploy":
            return any_is(ChangeKind.UNDEPLOYED) or any(change.may_undeploy for change in preview.changing)
        case "replace":
            return any_is(ChangeKind.REPLACED)
        case "cut-off":
            return any(change.cuts_off or change.may_cut_off for change in preview.changing)
        case "warning":
            return bool(preview.warnings)
        case _:
            return preview.anything


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="koreai report",
        description="Say in Markdown what a preview, or a run that has ended, means to the models and their callers.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file",
        nargs="?",
        default="-",
        metavar="FILE",
        help="what `pulumi preview --json` or `pulumi up --json` printed, or `--event-log` wrote; -: stdin (default)",
    )
    parser.add_argument(
        "--fail-on",
        action="append",
        default=[],
        choices=["undeploy", "replace", "cut-off", "warning", "change"],
        help="see below; may be repeated",
    )
    parser.add_argument("--gantt", type=Path, metavar="FILE.svg", help="draw when each job of the run ran")
    parser.add_argument(
        "--max-chars",
        type=_max_chars,
        default=MAX_CHARS,
        metavar="N",
        help=f"of the report; {LEAST_MAX_CHARS} or more (%(default)s)",
    )
    return parser


def _max_chars(text: str) -> int:
    number = int(text)
    if number < LEAST_MAX_CHARS:
        raise argparse.ArgumentTypeError(f"got {number}; expected {LEAST_MAX_CHARS} or more")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text(encoding="utf-8")
        engine_json = read_engine_json(text)
    except (OSError, UnicodeDecodeError, ReadingError) as error:
        print(f"error: {options.file}: {error}", file=sys.stderr)
        return USAGE
    if isinstance(engine_json, Digest):
        preview = Preview.of(engine_json)
        sys.stdout.write(preview.markdown(options.max_chars))
        if preview.errors:
            return FAILED
        return REFUSED if any(_has(preview, what) for what in options.fail_on) else FINE
    report = Report.of(engine_json)
    sys.stdout.write(report.markdown(options.max_chars))
    if options.gantt:
        try:
            options.gantt.write_text(gantt.svg(report.bars()), encoding="utf-8")
        except OSError as error:
            print(f"error: --gantt: {error}", file=sys.stderr)
            return USAGE
    return FAILED if report.failed else FINE


if __name__ == "__main__":
    sys.exit(main())
