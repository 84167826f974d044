"""What can go wrong between us and a registry."""

from corebox.errors import HostError, InputError


class TransientError(Exception):
    """The connection broke, or the registry said that it cannot now; worth trying again.

    Attributes:
        wait: seconds that the registry asked us to wait, 0 if it did not say.
    """

    def __init__(self, reason: str, wait: float = 0) -> None:
        super().__init__(reason)
        self.wait = wait


def unreachable(host: str, reason: object) -> HostError:
    """The error for a registry that does not answer, or no longer."""
    hint = "check the name and the network, and HTTPS_PROXY if there is a proxy; then run the same command again"
    return HostError("registry-unreachable", f"cannot reach {host}: {reason}", hint)


def refused(host: str, what: str, status: int) -> HostError:
    """The error for an answer 401 or 403."""
    message = f"{host} denied permission to {what} (HTTP {status})"
    return HostError("registry-refused", message, f"log in with an account that has permission: docker login {host}")


def failed(host: str, what: str, status: int, detail: str) -> HostError:
    """The error for an answer that makes no sense or blames us; ``status`` 0 if it is not the status that does."""
    said = f"HTTP {status} {detail}" if status else detail
    return HostError(
        "registry-failed", f"{host} failed to {what}: {said}".rstrip(), "ask the registry's operator, with this message"
    )


def digest_mismatch(what: str) -> InputError:
    """The error for bytes that are not those that their digest stands for."""
    return InputError(
        "digest-mismatch",
        f"the registry sent data that does not match its digest: {what}",
        "pull again, then push it again",
    )
