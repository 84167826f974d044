"""Hostile bytes into everything that reads them: by hypothesis, by a coverage-guided fuzzer, and what those found."""
