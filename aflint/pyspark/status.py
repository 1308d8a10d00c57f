"""sc.statusTracker(): what the tracker knows, in PySpark's words."""

from __future__ import annotations

from typing import Any

from aflint.pyspark.names import SparkJobInfo, SparkStageInfo, StatusTracker
from aflint.pyspark.tracking import GROUP, Tracker


class AflintStatusTracker(StatusTracker):  # type: ignore[misc]
    """Looks at the jobs of a context."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def getJobIdsForGroup(self, jobGroup: str | None = None) -> list[int]:
        """Return the jobs of a group, latest first; with None, those of no group."""
        actions = list(self._tracker.actions.values())
        return [a.id for a in reversed(actions) if a.properties.get(GROUP) == jobGroup]

    def getActiveStageIds(self) -> list[int]:
        """Return the stages that run."""
        found = []
        for action in self._tracker.running():
            for stage in action.stages:
                progress = self._tracker.progress(stage)
                if progress is not None and progress.started > 0 and progress.done < progress.tasks:
                    found.append(stage)
        return sorted(found)

    def getActiveJobsIds(self) -> list[int]:
        """Return the jobs that run."""
        return sorted(action.id for action in self._tracker.running())

    def getJobInfo(self, jobId: int) -> Any:
        """Return what is known of a job, or None."""
        action = self._tracker.actions.get(jobId)
        if action is None:
            return None
        return SparkJobInfo(jobId, list(action.stages), action.status)

    def getStageInfo(self, stageId: int) -> Any:
        """Return what is known of a stage, or None."""
        progress = self._tracker.progress(stageId)
        if progress is None:
            return None
        active = max(0, progress.started - progress.done - progress.failed)
        return SparkStageInfo(
            stageId, 0, progress.name, progress.tasks, active, progress.done, progress.failed
        )

    def getExecutorInfos(self) -> list[Any]:
        """Return nothing: executors come and go with their tasks."""
        return []
