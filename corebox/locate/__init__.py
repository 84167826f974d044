"""Symbols and sources: found by build ID in folders, packages and at debuginfod servers, and what is still lacking."""
