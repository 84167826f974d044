"""The compact core."""

from typing import Dict

from corebox.coredump.core import CoreFile


class CompactionPlan:
    """What the compact core will be."""

    size: int

    def layout(self) -> Dict[str, object]:
        """JSON-able description from which ``restore`` gives the original back."""
        raise NotImplementedError


def plan_compaction(core: CoreFile) -> CompactionPlan:
    """Plan the compact core."""
    raise NotImplementedError


def write_compact(core: CoreFile, plan: CompactionPlan, out_fd: int) -> None:
    """Write ``plan.size`` bytes to ``out_fd`` at its current position."""
    raise NotImplementedError


def restore(compact_path: str, layout: Dict[str, object], out_path: str) -> None:
    """Write the original core, bit for bit and sparse."""
    raise NotImplementedError
