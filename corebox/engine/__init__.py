"""Run a command in an image's root: Docker, Podman or bubblewrap, with the same sandbox.

No network, no capabilities, no new privileges, a read-only root, not root, bounded memory and processes. Everything is
bind-mounted; nothing is copied into an engine. Only this package imports the docker SDK.
"""
