"""Identifiers, codes, versions, numbers with a unit and quotes are found in a query, and in text, in all spellings."""

import pytest

from rag_search.text.evidence import evidence_items, normalise


def texts(query: str) -> list[str]:
    """Return the items of a query that can only be meant to the letter."""
    return [item.text for item in evidence_items(query) if item.weight == 1]


@pytest.mark.parametrize(
    ("query", "items"),
    [
        ("what does --max-old-space-size do in node", ["max-old-space-size"]),
        ("如何配置 maxIdleTime 参数", ["maxIdleTime"]),
        ("[Errno 28] No space left on device", ["Errno 28"]),
        ("E1042", ["E1042"]),
        ("0x80070005 while updating the agent today", ["0x80070005"]),
        ("which release fixed it, v2.1.0 or later", ["v2.1.0"]),
        ("raise the limit to 512MB for all of them", ["512MB"]),
        ("node --max-old-space-size=4096 does not help the build", ["max-old-space-size"]),
        ("set innodb_buffer_pool_size=8G on the replica", ["innodb_buffer_pool_size"]),
        ("java -Dspring.profiles.active=prod ignores the file", ["spring.profiles.active"]),
        ("redis-server with maxmemory=2gb is killed", ["maxmemory"]),
        ("why is a=b the same as b == a here", ["a=b"]),
        ("LARKSPUR_PROXY is not read by the command", ["LARKSPUR_PROXY"]),
        ("ｍａｘ＿ｉｄｌｅ 怎么设置", ["max_idle"]),
        ('when it says "connection refused" at night', ["connection refused"]),
        ("why is the sky blue in the evening", []),
        ("the left-hand side of the long equation", []),
        ("如何解决连接超时", []),
    ],
)
def test_items_of_a_query(query: str, items: list[str]) -> None:
    assert texts(query) == items


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("how long does Herring keep data", ["Herring"]),
        ("数据在 Herring 里保留多久", ["Herring"]),
        ("Herring is slow. What is wrong with it", []),
        ("is it slow? Maybe it is", []),
        ("how long does herring keep data", []),
    ],
)
def test_a_capital_within_a_sentence_is_a_name(query: str, names: list[str]) -> None:
    """It is one hint of several: its weight is less than that of an identifier."""
    assert [item.text for item in evidence_items(query) if 0 < item.weight < 1] == names


@pytest.mark.parametrize(
    ("query", "passage", "found"),
    [
        ("max-old-space-size", "set `--max-old-space-size=4096`", True),
        ("maxOldSpaceSize", "max_old_space_size: 4096", True),
        ("--max-old-space-size=4096", "`--max-old-space-size=MB`: limit of the heap", True),
        ("--max-old-space-size=4096", "--min-old-space-size=4096", False),
        ("max-old-space-size", "max-old-space-sizes", False),
        ("max-old-space-size", "the max old space size", False),
        ("v2.1", "since 2.1 it is", True),
        ("2.1", "since v2.1.", True),
        ("2.1", "since 2.1.4", False),
        ("512MB", "of 512 MB at most", True),
        ("512 MB", "of 1512 MB", False),
        ("Errno 2", "[Errno 2] No such file", True),
        ("Errno 2", "[Errno 28] No space", False),
        ("max_idle", "ｍａｘ＿ｉｄｌｅ", True),
    ],
)
def test_spellings_are_equal(query: str, passage: str, found: bool) -> None:
    item = evidence_items(query)[0]
    assert bool(item.pattern.search(normalise(passage))) is found


def test_an_address_is_one_item() -> None:
    """Its parts are not items of their own, and a longer address does not contain it."""
    (item,) = evidence_items("https://docs.kiln.example/guides/retry-policy?page=2.")
    assert item.text == "https://docs.kiln.example/guides/retry-policy?page=2"
    assert item.pattern.search("see https://docs.kiln.example/guides/retry-policy?page=2)")
    assert not item.pattern.search("https://docs.kiln.example/guides/retry-policy?page=25")
