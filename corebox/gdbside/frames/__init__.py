"""Stacks: how the caller of a frame is found, and where the evidence ends."""
