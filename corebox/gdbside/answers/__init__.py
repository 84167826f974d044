"""What corebox asks gdb in a batch run: the facts of a report, and which sources are not there."""
