"""How well the stacks of managed languages are read: programs whose true stack their runtime prints as they crash."""
