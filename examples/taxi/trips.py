"""One piece of one file of trips, as bytes."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from examples.taxi import pools
from examples.taxi.formats import Colour, file_format

DAY = 86_400


@dataclass(frozen=True)
class Part:
    """A run of trips of one file; the first brings the header, the last ends the file."""

    seed: int
    colour: Colour
    month: str
    number: int
    trips: int
    last: bool

    @property
    def file(self) -> str:
        """The name of the file that it belongs to, as the Commission names it."""
        return f"{self.colour}_tripdata_{self.month}.csv"


def render(part: Part) -> bytes:
    """Return the part's bytes, which follow from the part alone."""
    form = file_format(part.colour, part.month)
    dice = Random(f"{part.seed}/{part.colour}/{part.month}/{part.number}")
    text = "".join(_lines(part, dice))
    if part.number == 0:
        text = form.head + text
    if part.last and not form.last_newline:
        text = text.removesuffix(form.line_end)
    return text.encode()


def _lines(part: Part, dice: Random) -> list[str]:
    seed, count = part.seed, part.trips
    form = file_format(part.colour, part.month)
    clock = pools.CLOCK
    hourly = pools.drop_offs(seed, part.colour, form.number)
    drawn = zip(
        dice.choices(pools.days(seed, part.month), k=count),
        dice.choices(pools.moments(seed), k=count),
        dice.choices(pools.rides(seed, form, int(part.month[:4])), k=count),
        dice.choices(pools.pick_ups(seed, part.colour, form.number), k=count),
        dice.choices(range(pools.DROP_OFFS), k=count),
        strict=True,
    )
    lines = []
    for (day, after), start, (seconds, vendor, lead, middle, tail), pick_up, place in drawn:
        end = start + seconds
        if end < DAY:
            ended = day
        else:
            end, ended = end % DAY, after
        lines.append(
            f"{vendor}{day}{clock[start]},{ended}{clock[end]}{lead}{pick_up}{middle}"
            f"{hourly[end // 3600][place]}{tail}"
        )
    return lines
