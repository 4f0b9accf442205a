"""Settings of all tests."""

from hypothesis import settings

# how long an example takes says more about the machine than about the code; benchmarks measure speed
settings.register_profile("untimed", deadline=None)
settings.register_profile("untimed-ci", settings.get_profile("ci"), deadline=None)
settings.load_profile("untimed-ci" if settings.get_current_profile_name() == "ci" else "untimed")
