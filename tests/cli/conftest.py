"""The fixtures of the command line's tests."""

from tests.support.project import indexed, model_cache, project, run

__all__ = ["indexed", "model_cache", "project", "run"]
