"""connect() and Session: the one place that puts concrete parts together."""

from __future__ import annotations

from aflint.session.session import Session as Session
from aflint.session.session import connect as connect
from aflint.session.session import open as open
