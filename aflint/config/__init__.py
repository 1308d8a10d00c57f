"""The configuration of a session: what may be set, where it is read from, what it comes to."""

from aflint.config.config import Config as Config
from aflint.config.config import cpu_count as cpu_count
from aflint.config.config import load_config as load_config
from aflint.config.config import settings as settings

__all__ = ["Config", "cpu_count", "load_config", "settings"]
