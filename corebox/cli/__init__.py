"""The command line: flags in, printing out. Only this package imports click."""
