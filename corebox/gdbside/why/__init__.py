"""What kind of fault it was: ``kinds`` is the table, each family of kinds has a module."""
