"""What the runtimes of languages keep of their own: the stacks of interpreted code."""
