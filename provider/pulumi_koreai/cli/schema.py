"""`koreai schema`."""

from typing import Annotated, Final

import typer

from ..stackfile.reference import reference_page
from ..stackfile.schema import text

MORE: Final = """
Example:
  koreai schema >stacks/schema.json
"""


def command(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference page of stack files instead.")
    ] = False,
) -> None:
    """Print it."""
    typer.echo(reference_page() if markdown else text(), nl=False)
