"""``python -m corebox``."""

import sys

from corebox.cli import main

sys.exit(main())
