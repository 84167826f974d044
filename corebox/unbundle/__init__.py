"""Bundles, read: nothing in one is believed before it is checked. The vendor alone reads them."""
