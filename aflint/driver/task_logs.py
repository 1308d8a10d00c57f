"""What user code printed and logged in tasks, shown where the driver runs."""

from __future__ import annotations

import sys

from aflint.events import Event, TaskEnded
from aflint.task import TaskId


def show_task_logs(event: Event) -> None:
    """Write the output of a task that ended to standard error, each line with where it is from.

    A listener, added where the setting `task_logs` is on. A task's lines come together at its end.
    """
    if isinstance(event, TaskEnded) and event.logs:
        sys.stderr.write(marked(event.id, event.logs))
        sys.stderr.flush()


def marked(task: TaskId, text: str) -> str:
    """Return a text with the task before each of its lines."""
    again = f", attempt {task.attempt}" if task.attempt else ""
    mark = f"[{task.job} stage {task.stage}, partition {task.partition}{again}] "
    return "".join(f"{mark}{line}\n" for line in text.splitlines())
