"""``python -m corebox.gather``."""

import sys

from corebox.gather.cli import main

if __name__ == "__main__":
    sys.exit(main())
