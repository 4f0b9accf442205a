"""Write counts, sizes and durations for people."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB")


def count(number: int, noun: str, plural: str = "") -> str:
    """Return `3 documents`, `1 document` or `0 documents`. plural: of an irregular noun, such as `indexes`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def human_bytes(number: float) -> str:
    """Return a size in decimal units with at most three digits, such as `1.2 GB`."""
    for unit in _UNITS[:-1]:
        if number < 999.5:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 99.95 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} {_UNITS[-1]}"


def human_seconds(seconds: float) -> str:
    """Return a duration such as `8.2 s`, `3 min 20 s` or `2 h 05 min`."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
