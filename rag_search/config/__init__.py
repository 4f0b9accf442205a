"""Settings: their definition (`settings`), and the layers that they are read from (`loading`, `environment`)."""

from rag_search.config.loading import PROJECT_FILE, Config, data_dir, find_project_file, load_config, sensitive_in
from rag_search.config.settings import (
    EmbedderSettings,
    IngestSettings,
    RerankerSettings,
    SearchSettings,
    ServerSettings,
    Settings,
    checked,
    flatten_settings,
    known_keys,
)

__all__ = [
    "PROJECT_FILE",
    "Config",
    "EmbedderSettings",
    "IngestSettings",
    "RerankerSettings",
    "SearchSettings",
    "ServerSettings",
    "Settings",
    "checked",
    "data_dir",
    "find_project_file",
    "flatten_settings",
    "known_keys",
    "load_config",
    "sensitive_in",
]
