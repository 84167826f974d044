"""Where a user's files belong on this system."""

from pathlib import Path

import platformdirs


def config_folder() -> Path:
    """The folder for what the user configures."""
    return platformdirs.user_config_path("corebox")


def data_folder() -> Path:
    """The folder for what corebox keeps."""
    return platformdirs.user_data_path("corebox")
