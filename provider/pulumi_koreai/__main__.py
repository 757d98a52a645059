"""`python -m pulumi_koreai`: the same as `koreai`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
