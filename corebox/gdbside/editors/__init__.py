"""What editors ask by the Debug Adapter Protocol, where gdb's own answers do not do for a core."""
