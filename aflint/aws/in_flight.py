"""Moved to `aflint.aio`."""

from aflint.aio import InFlight as InFlight
from aflint.aio import as_they_come as as_they_come
from aflint.aio import cancel_all as cancel_all
