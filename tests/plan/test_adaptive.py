from __future__ import annotations

from dataclasses import replace
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from aflint.plan.adaptive import Adaptive, Piece, Reading, Sizes, read_together, split_evenly

PLAIN = Adaptive(advisory_bytes=128, least_bytes=0, skew_bytes=1000)


def one_map(*sizes: int) -> Sizes:
    return Sizes(len(sizes), (sizes,))


def ranges(readings: list[Reading] | None) -> list[tuple[int, int]]:
    assert readings is not None
    assert all(reading == readings[0] for reading in readings)
    return [(piece.first, piece.last) for piece in readings[0]]


def test_small_neighbours_are_read_together_up_to_the_advisory_size() -> None:
    assert ranges(read_together([one_map(100, 20, 100, 10, 30)], PLAIN)) == [(0, 2), (2, 4), (4, 5)]


def test_sides_that_lie_alike_are_cut_at_the_same_places_by_their_sum() -> None:
    sides = [one_map(100, 20, 100, 10, 30), one_map(10, 10, 70, 5, 5)]
    assert ranges(read_together(sides, PLAIN)) == [(0, 1), (1, 2), (2, 3), (3, 5)]


def test_what_is_empty_is_read_by_no_task_and_nothing_at_all_by_one() -> None:
    sizes = one_map(0, 0, 200, 0, 200, 0)
    assert ranges(read_together([sizes], PLAIN)) == [(2, 3), (4, 5)]
    assert ranges(read_together([one_map(0, 0, 0)], PLAIN)) == [(0, 3)]
    assert ranges(read_together([Sizes(3, ())], PLAIN)) == [(0, 3)]


def test_parallelism_comes_before_the_advisory_size_and_the_least_size_before_both() -> None:
    sizes = one_map(*[10] * 8)
    assert len(ranges(read_together([sizes], PLAIN))) == 1
    assert len(ranges(read_together([sizes], replace(PLAIN, least_partitions=4)))) == 4
    least = replace(PLAIN, least_partitions=4, least_bytes=40)
    assert len(ranges(read_together([sizes], least))) == 2


def test_partitions_that_are_large_enough_stay_as_they_are() -> None:
    assert read_together([one_map(128, 128, 128)], PLAIN) is None
    assert read_together([one_map(1, 1)], replace(PLAIN, coalesces=False)) is None


def test_a_skewed_partition_is_cut_by_maps_and_meets_the_whole_other_side() -> None:
    left = Sizes(3, ((10, 600, 10), (10, 600, 10)))
    settings = replace(PLAIN, advisory_bytes=600)
    readings = read_together([left, one_map(5, 5, 5)], settings, {0})
    assert readings == [
        (Piece(0, 1), Piece(1, 2, (0, 1)), Piece(1, 2, (1, 2)), Piece(2, 3)),
        (Piece(0, 1), Piece(1, 2), Piece(1, 2), Piece(2, 3)),
    ]


def test_only_what_may_be_cut_is() -> None:
    left = Sizes(3, ((10, 600, 10), (10, 600, 10)))
    sides = [left, one_map(300, 300, 300)]
    settings = replace(PLAIN, advisory_bytes=250)
    assert read_together(sides, settings, {1}) is None
    assert read_together(sides, replace(settings, splits=False), {0}) is None


def test_both_sides_of_a_skewed_partition_are_cut_each_piece_meeting_each() -> None:
    side = Sizes(3, ((0, 600, 1), (1, 600, 0)))
    readings = read_together([side, side], replace(PLAIN, advisory_bytes=600), {0, 1})
    assert readings is not None
    cut = [pair for pair in zip(*readings, strict=True) if pair[0].maps]
    assert len(set(cut)) == len(cut) == 4


def test_many_pieces_become_fewer_where_each_meets_each() -> None:
    column = tuple((0, 100, 0) for _ in range(100))
    settings = replace(PLAIN, advisory_bytes=100, most_splits=50)
    readings = read_together([Sizes(3, column), Sizes(3, column)], settings, {0, 1})
    assert readings is not None
    assert 1 < len(readings[0]) <= 50


def test_pieces_that_are_small_are_merged_into_the_one_before() -> None:
    assert split_evenly([100, 0, 0, 0, 50, 100], 100) == [0, 4, 5]
    assert split_evenly([100, 10, 100, 10], 100) == [0, 2]
    assert split_evenly([300], 100) == split_evenly([], 100) == [0]


def test_a_side_is_broadcast_if_it_is_small_and_lies_in_enough_partitions() -> None:
    settings = Adaptive(broadcast_bytes=100)
    assert settings.broadcasts([50, 50])
    assert settings.broadcasts([0, 50, 0, 0, 0])
    assert not settings.broadcasts([50, 51])
    assert not settings.broadcasts([0] * 5 + [50])
    assert not Adaptive(broadcast_bytes=-1).broadcasts([0, 1])


@st.composite
def shuffles(draw: st.DrawFn) -> list[Sizes]:
    partitions = draw(st.integers(1, 6))
    column = st.lists(
        st.sampled_from([0, 0, 1, 7, 50, 400]), min_size=partitions, max_size=partitions
    )
    maps = st.lists(column.map(tuple), max_size=5)
    made = st.builds(lambda by_map: Sizes(partitions, tuple(by_map)), maps)
    return draw(st.lists(made, min_size=1, max_size=3))


@given(
    shuffles(),
    st.builds(
        Adaptive,
        coalesces=st.booleans(),
        advisory_bytes=st.sampled_from([1, 60, 500]),
        least_bytes=st.sampled_from([0, 30]),
        least_partitions=st.integers(1, 4),
        skew_factor=st.sampled_from([1.0, 3.0]),
        skew_bytes=st.sampled_from([1, 100]),
        most_splits=st.sampled_from([4, 1000]),
    ),
    st.sets(st.integers(0, 2)),
)
def test_every_combination_of_blocks_of_a_partition_meets_in_exactly_one_task(
    sizes: list[Sizes], settings: Adaptive, splittable: set[int]
) -> None:
    splittable = {place for place in splittable if place < len(sizes)}
    readings = read_together(sizes, settings, splittable)
    if readings is None:
        return
    met: dict[tuple[tuple[int, int], ...], int] = {}
    for pieces in zip(*readings, strict=True):
        first, last = pieces[0].first, pieces[0].last
        assert all((piece.first, piece.last) == (first, last) for piece in pieces)
        for place, piece in enumerate(pieces):
            assert piece.maps is None or (place in splittable and last - first == 1)
        for partition in range(first, last):
            blocks = [_blocks(each, partition, p) for each, p in zip(sizes, pieces, strict=True)]
            for chosen in _product(blocks):
                key = (partition, -1), *chosen
                met[key] = met.get(key, 0) + 1
    assert all(count == 1 for count in met.values())
    for partition in range(sizes[0].partitions):
        whole = [_blocks(each, partition, Piece(partition, partition + 1)) for each in sizes]
        if sum(each.by_partition[partition] for each in sizes):
            found = sum(key[0] == (partition, -1) for key in met)
            assert found == prod(map(len, whole))


def _blocks(sizes: Sizes, partition: int, piece: Piece) -> list[tuple[int, int]]:
    start, end = piece.maps or (0, len(sizes.by_map))
    return [(m, partition) for m in range(start, end)] or [(-1, partition)]


def _product(blocks: list[list[tuple[int, int]]]) -> list[tuple[tuple[int, int], ...]]:
    found: list[tuple[tuple[int, int], ...]] = [()]
    for several in blocks:
        found = [(*each, one) for each in found for one in several]
    return found
