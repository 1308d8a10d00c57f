"""Values of Python's as the JVM has them on Spark: what Java's `toString` gives of them, and the
order in which it has the keys of a dict.
"""

from __future__ import annotations

from typing import Any

from aflint.sql.lenient_json import java_double

_WORD = (1 << 32) - 1


def java_text(value: Any) -> str:
    """Return the text of a value; of what has no counterpart in Java, Python's own."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float():
            return java_double(value)
        case list():
            return f"[{', '.join(map(java_text, value))}]"
        case dict():
            pairs = (f"{java_text(key)}={java_text(value[key])}" for key in in_javas_order(value))
            return f"{{{', '.join(pairs)}}}"
    return str(value)


def in_javas_order(keys: dict[Any, Any]) -> list[Any]:
    """Return keys in the order of the HashMap that they are unpickled into."""
    if len(keys) < 2:
        return list(keys)
    size = 16
    while len(keys) > size * 3 // 4:
        size *= 2

    def place(key: Any) -> int:
        code = _hash(key)
        return (code ^ code >> 16) & (size - 1)

    numbered = enumerate(keys)  # of those in one place the last stands first: so they are put in
    return [key for _, key in sorted(numbered, key=lambda pair: (place(pair[1]), -pair[0]))]


def _hash(key: Any) -> int:
    code = 0
    if isinstance(key, bool):
        return 1231 if key else 1237
    if isinstance(key, str):
        data = key.encode("utf-16-le", "surrogatepass")
        for at in range(0, len(data), 2):
            code = (31 * code + data[at] + (data[at + 1] << 8)) & _WORD
    elif isinstance(key, int):
        code = (key if -(1 << 31) <= key < 1 << 31 else key ^ key >> 32) & _WORD
    return code
