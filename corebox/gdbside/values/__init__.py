"""The values of variables, and how they are printed."""
