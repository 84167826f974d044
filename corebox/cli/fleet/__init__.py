"""``corebox fleet``: crashes in a database, counted, grouped and searched."""
