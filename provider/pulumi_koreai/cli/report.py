"""`koreai report`."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from ..api.messages import clean
from ..base.status import ExitStatus
from ..report import gantt
from ..report.as_json import report_as_json
from ..report.engine_json import Digest, ReadingError, read_engine_json
from ..report.fail_on import ABOUT, FailOn, is_refused
from ..report.markdown import LEAST_MAX_CHARS, MAX_CHARS
from ..report.preview import Preview
from ..report.run import Report
from .output import STATUSES, FormatOption, give_up, show

FAIL_ON: Final = "\n".join(["--fail-on:", *(f"  {name:<9} {what}" for name, what in ABOUT.items())])
"""What each of its values means, for a help."""

MORE: Final = f"""
Examples:
  pulumi preview --json --show-sames --show-replacement-steps | koreai report
  koreai report --gantt run.svg events.jsonl

{FAIL_ON}

{STATUSES}"""

FailOnOption = Annotated[
    list[FailOn] | None, typer.Option("--fail-on", help="Refuse such a preview, with status 3; may be repeated.")
]


def command(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="What `pulumi preview --json` or `pulumi up --json` printed, or `--event-log` wrote; - is the standard"
            " input.",
        ),
    ] = "-",
    fail_on: FailOnOption = None,
    gantt_file: Annotated[
        Path | None, typer.Option("--gantt", metavar="FILE.svg", help="Draw when each job of the run ran.")
    ] = None,
    max_chars: Annotated[int, typer.Option(min=LEAST_MAX_CHARS, help="Of the report.")] = MAX_CHARS,
    form: FormatOption = None,
) -> ExitStatus:
    """Report on it."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        engine_json = read_engine_json(text)
    except OSError as error:
        return give_up(f"{clean(file)}: can't be opened: {error.strerror}", ExitStatus.USAGE)
    except (UnicodeDecodeError, ReadingError) as error:
        return give_up(f"{clean(file)}: {error}", ExitStatus.USAGE)
    if isinstance(engine_json, Digest):
        preview = Preview.of(engine_json)
        show(preview.markdown(max_chars), lambda: report_as_json(engine_json), form)
        if preview.errors:
            return ExitStatus.FAILED
        return ExitStatus.REFUSED if is_refused(preview, fail_on or ()) else ExitStatus.DONE
    report = Report.of(engine_json)
    show(report.markdown(max_chars), lambda: report_as_json(engine_json), form)
    if gantt_file:
        try:
            gantt_file.write_text(gantt.svg(report.bars()), encoding="utf-8")
        except OSError as error:
            return give_up(f"--gantt: {clean(str(gantt_file))}: can't be written: {error.strerror}", ExitStatus.USAGE)
    return ExitStatus.FAILED if report.failed else ExitStatus.DONE
