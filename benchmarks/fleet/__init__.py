"""How fast a fleet answers, and how much it keeps for a crash, with rows that were made up."""
