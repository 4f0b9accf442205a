"""Settings of all tests."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# how long an example takes says more about the machine than about the code; benchmarks measure speed
settings.register_profile("untimed", deadline=None)
settings.register_profile("untimed-ci", settings.get_profile("ci"), deadline=None)
KEPT = ("RAGSEARCH_CACHE_DIR", "RAGSEARCH_DATA")  # converted models, and sets for tests that want more text

settings.load_profile("untimed-ci" if settings.get_current_profile_name() == "ci" else "untimed")


@pytest.fixture(scope="session", autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the settings or the index of whoever runs it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RAGSEARCH_") and name not in KEPT]:
            patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        yield
