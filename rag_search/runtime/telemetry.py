"""Switch off the telemetry of the packages below, before they are imported."""

from __future__ import annotations

import os

OFF = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime 1.29 sends at import: an id, and the path of the interpreter
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
}


def switch_off() -> None:
    """Set the variables that these packages read at import, unless the user has set them."""
    for name, value in OFF.items():
        os.environ.setdefault(name, value)
