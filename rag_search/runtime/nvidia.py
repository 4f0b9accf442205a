"""Tell whether this machine has an NVIDIA driver, without loading anything."""

from __future__ import annotations

from pathlib import Path

DRIVER_FILE = Path("/proc/driver/nvidia/version")


def has_nvidia_driver() -> bool:
    """Return whether the kernel driver of NVIDIA is loaded."""
    return DRIVER_FILE.exists()
