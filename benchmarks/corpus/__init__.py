"""A corpus of crashes whose causes are known, to measure how well ``corebox similar`` tells them apart.

``python -m benchmarks.corpus`` makes it again from tests/programs/corpus and prints the figures of
docs/how-to/find-duplicates.md.
"""
