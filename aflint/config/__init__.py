"""The configuration of a session: what may be set, where it is read from, what it comes to."""

from aflint.config.config import Config as Config
from aflint.config.config import cpu_count as cpu_count
from aflint.config.config import load_config as load_config
from aflint.config.config import resolve_config as resolve_config
from aflint.config.config import settings as settings
from aflint.config.setting import Auto as Auto
from aflint.config.sources import FILE_NAME as FILE_NAME
from aflint.config.sources import FILE_VARIABLE as FILE_VARIABLE
from aflint.config.sources import PREFIX as PREFIX
from aflint.config.sources import Found as Found
from aflint.config.sources import parse_text as parse_text

__all__ = [
    "FILE_NAME",
    "FILE_VARIABLE",
    "PREFIX",
    "Auto",
    "Config",
    "Found",
    "cpu_count",
    "load_config",
    "parse_text",
    "resolve_config",
    "settings",
]
