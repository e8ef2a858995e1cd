"""`python -m lenstui`."""

import sys

from lenstui.cli import main

if __name__ == "__main__":
    sys.exit(main())
