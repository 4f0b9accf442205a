"""The date of a document and its origin."""

from typing import Any

import pytest

from rag_search.documents.metadata import updated_on

MTIME = 1_700_000_000 * 10**9  # 2023-11-14


@pytest.mark.parametrize(
    ("metadata", "path", "found"),
    [
        ({"updated": "2024-01-31", "date": "2020-01-01"}, "a.md", ("2024-01-31", "metadata")),
        ({"lastmod": "2017-03-05T08:00:00Z"}, "a.md", ("2017-03-05", "metadata")),
        ({"last_update": {"date": "2022-2-3", "author": "x"}}, "a.md", ("2022-02-03", "metadata")),
        ({"last_modified_at": "2021/05/06"}, "a.md", ("2021-05-06", "metadata")),
        ({"ms.date": "01/31/2024"}, "a.md", ("2024-01-31", "metadata")),
        ({"date": "31/01/2024"}, "2019-02-01-a.md", ("2019-02-01", "name")),
        ({"lastUpdated": "2024-08-09T10:00:00Z", "date": "2020-01-01"}, "a.md", ("2024-08-09", "metadata")),
        ({"lastUpdated": True, "date": "2020-01-01"}, "a.md", ("2020-01-01", "metadata")),
        ({"last_updated": "2023-04-05", "date": "2020-01-01"}, "a.md", ("2023-04-05", "metadata")),
        ({"date-modified": "2022-11-12", "date": "2020-01-01"}, "a.md", ("2022-11-12", "metadata")),
        ({"date": {"created": "2022-01-31", "updated": "2022-02-02"}}, "a.md", ("2022-02-02", "metadata")),
        ({"date": {"created": "2022-01-31"}}, "2019-02-01-a.md", ("2022-01-31", "metadata")),
        ({"revdate": "2021-05-04"}, "a.adoc", ("2021-05-04", "metadata")),
        ({"created": "2021-07-08"}, "a.md", ("2021-07-08", "metadata")),
        ({"last_update": "soon"}, "a.md", ("2023-11-14", "file")),
    ],
)
def test_date_and_origin(metadata: dict[str, Any], path: str, found: tuple[str, str]) -> None:
    assert updated_on(metadata, path=path, mtime_ns=MTIME) == found


def test_a_time_that_is_no_date() -> None:
    assert updated_on({}, path="a.md", mtime_ns=10**30) == ("", "file")
