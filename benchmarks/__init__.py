"""Speed and memory, side by side with what a user would do instead, as ratios within one run.

`python -m benchmarks [NAME...]` prints a Markdown table; benchmarks/README.md holds one, with its command.
"""
