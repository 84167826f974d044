"""``python -m corebox.gather``."""

import sys

if __name__ == "__main__":
    try:
        from corebox.gather.cli import main

        status = main()
    except KeyboardInterrupt:  # while it starts
        sys.stderr.write("interrupted; no partial files were left behind\n")
        status = 130
    sys.exit(status)
