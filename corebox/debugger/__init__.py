"""What to tell gdb, and what it answers."""
