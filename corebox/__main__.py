"""``python -m corebox``."""

import sys

from corebox.cli.main import main

sys.exit(main())
