"""The program: ``corebox``, and ``python -m corebox``."""

import sys


def main() -> int:
    """Run it and return the exit status."""
    try:
        from corebox.cli.main import main as run  # noqa: PLC0415  # Ctrl-C may come while all that is imported

        return run()
    except KeyboardInterrupt:  # while it starts
        sys.stderr.write("interrupted; no partial files were left behind\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
