"""Daily weather of Central Park, made up, in the form in which NOAA exports it."""

from __future__ import annotations

from datetime import date, timedelta
from math import cos, tau
from random import Random

HEADER = '"STATION","NAME","DATE","AWND","PRCP","SNOW","SNWD","TMAX","TMIN"\n'
STATION = '"USW00094728","NY CITY CENTRAL PARK, NY US"'
DRY_DAYS = 0.65
MEAN_RAIN = 0.38  # inches, on a day with any


def precipitation(seed: int, day: date) -> float:
    """Return that day's rain and melted snow in inches, to a hundredth."""
    return _rain(_dice(seed, day))


def weather_line(seed: int, day: date) -> str:
    """Return one day as a line of the file."""
    dice = _dice(seed, day)
    rain = _rain(dice)
    warmth = -cos(tau * (day.timetuple().tm_yday - 20) / 365.25)
    high = round(62 + 23 * warmth + dice.gauss(0, 7))
    low = high - dice.randint(8, 20)
    snow = round(rain * 10, 1) if low < 30 else 0.0
    wind = "" if dice.random() < 0.04 else f"{dice.uniform(2, 12):.2f}"
    values = (day.isoformat(), wind, f"{rain:.2f}", snow, snow, high, low)
    return STATION + "".join(f',"{value}"' if value != "" else "," for value in values) + "\n"


def weather_file(seed: int, first: date, last: date) -> str:
    """Return the whole file, from the first day to the last, both included."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return HEADER + "".join(weather_line(seed, day) for day in days)


def _dice(seed: int, day: date) -> Random:
    return Random(f"{seed}/weather/{day}")


def _rain(dice: Random) -> float:
    if dice.random() < DRY_DAYS:
        return 0.0
    return round(min(0.01 + dice.expovariate(1 / MEAN_RAIN), 5.8), 2)
