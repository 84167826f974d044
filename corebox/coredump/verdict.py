"""The verdict on a file: whether its build ID is the one in the memory of the crashed process."""

from typing import Optional, Tuple

VERIFIED = "verified"
MISMATCH = "mismatch"
CANNOT_VERIFY = "cannot-verify"
MISSING = "missing"
VERDICTS = (VERIFIED, MISMATCH, CANNOT_VERIFY, MISSING)

#: Begins what is said of a file that was looked for on the vendor side: advice for the site is of no use there.
SEARCHED = "not found in"


def compare_build_ids(memory: Optional[str], file: Optional[str]) -> Tuple[str, Optional[str]]:
    """Verdict and detail from the two build IDs alone."""
    if memory is None:
        return CANNOT_VERIFY, "no build ID in the core's memory"
    if file is None:
        return MISMATCH, "the file has no build ID, but what was mapped had one"
    if memory != file:
        return MISMATCH, "the file is not the one that was mapped"
    return VERIFIED, None
