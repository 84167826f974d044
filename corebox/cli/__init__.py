"""The command line: flags in, printing out. Only this package imports click."""

from corebox.cli.main import main

__all__ = ["main"]
