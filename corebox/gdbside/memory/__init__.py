"""What is in the core's memory: mappings, the heap, what a pointer points to."""
