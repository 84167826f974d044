"""Push images to a registry and pull them, over the OCI distribution API, straight from the store: no daemon."""
