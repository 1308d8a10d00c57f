"""What Ray Data's functions make of a block of columns."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from bench import programs as p

Batch = dict[str, Any]


def pairs(lines: Batch) -> Batch:
    """Return the keys and the numbers."""
    found = np.array(" ".join(lines["text"]).split(), dtype=np.int64).reshape(-1, 2)
    return {"k": found[:, 0], "v": found[:, 1]}


def texts(lines: Batch) -> Batch:
    """Return the keys and the texts."""
    found = np.array([p.keyed_text(line) for line in lines["text"]], dtype=object).reshape(-1, 2)
    return {"k": found[:, 0], "v": found[:, 1]}


def words(lines: Batch) -> Batch:
    """Return the words."""
    return {"word": " ".join(lines["text"]).split()}


def trips(case: str, lines: Batch) -> Batch:
    """Return the keys that a taxi query counts by, as text, and ones."""
    keys = [repr(key) for key, _ in p.taxi_pairs(case, lines["text"])]
    return {"key": np.array(keys, dtype=object), "n": np.ones(len(keys), np.int64)}


def key_of(text: str) -> Any:
    """Return the key that `trips` wrote."""
    return ast.literal_eval(text)


def products(joined: Batch) -> Batch:
    """Return what is told of joined pairs."""
    return {"a": joined["k"] * joined["v"], "w": joined["w"]}


def with_names(path: str, batch: Batch) -> Batch:
    """Return the names of the keys, and the numbers."""
    names = p.names_in(path)
    return {"name": [names[key] for key in batch["k"].tolist()], "v": batch["v"]}


def points(lines: Batch) -> Batch:
    """Return the points."""
    return {"point": np.array([p.point(line) for line in lines["text"]])}


def nearest(centres: Any, batch: Batch) -> Batch:
    """Return the sum and the number of the points that are nearest to each centre."""
    found = batch["point"]
    index = ((found[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)
    at = np.unique(index)
    total = np.array([found[index == each].sum(axis=0) for each in at])
    return {"at": at, "total": total, "count": np.array([(index == each).sum() for each in at])}


def even(batch: Batch) -> Batch:
    """Return the even numbers."""
    return {"v": batch["v"][batch["v"] % 2 == 0]}


def by_tens(batch: Batch) -> Batch:
    """Return numbers that few pairs differ in."""
    return {"v": batch["v"] % 1_000}


def numbers(low: int, batch: Batch) -> Batch:
    """Return the numbers of a range that begins with `low`."""
    return {"n": batch["id"] + low}


def squares(batch: Batch) -> Batch:
    """Return the squares."""
    return {"n": batch["n"] ** 2}


def names(batch: Batch) -> Batch:
    """Return the numbers with their names."""
    return {"n": batch["n"], "name": [f"n{number}" for number in batch["n"].tolist()]}
