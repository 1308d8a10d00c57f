"""Every error aflint raises, in one tree.

    AflintError
    ├── ConfigError                 a setting that is unknown, of the wrong type or out of range
    ├── InvalidArgumentError        an argument of an API call (also a ValueError)
    ├── InputError                  something wrong with what is to be read
    │   ├── PathNotFoundError           no such path, or a glob that matches nothing
    │   ├── UnreadableInputError        there, but may not be read
    │   ├── InputChangedError           not the file any more that was listed for the job
    │   ├── SubfolderError              a folder within a folder whose files are to be read
    │   ├── UnsupportedCompressionError compressed in a way that aflint cannot read
    │   ├── CorruptInputError           truncated or damaged (compressed or pickle file)
    │   └── TextDecodingError           bytes that are not text in the encoding asked for
    ├── OutputError                 something wrong with what is to be written
    │   └── OutputExistsError           the target of a save is already there
    ├── SerializationError          data or functions that cannot travel
    │   ├── ClosureError                a function, or what it captured, cannot be pickled
    │   ├── UnportableKeyError          a key that has no stable hash
    │   └── RecordTooLargeError         one record larger than the transport can carry
    ├── FrameError                  a frame that is altered, foreign or of another version
    ├── JobError                    a job that ended without an answer
    │   ├── TaskError                   user code raised; carries the remote traceback
    │   ├── AttemptsExhaustedError      one task was lost too many times
    │   ├── JobCancelledError           cancelled by `session.cancel` or by the end of the session
    │   ├── BudgetExceededError         stopped before it would pass its budget
    │   └── DeadlineExceededError       stopped at its wall-clock deadline
    ├── AttemptError                one attempt of one task failed (see `retriable`)
    │   ├── WorkerLostError             its process ended
    │   ├── OutOfMemoryError            it needed more memory than its process may have
    │   ├── TimedOutError               it ran into the function's time limit
    │   ├── ThrottledError              the service refused it for now; costs no attempt
    │   ├── FetchFailedError            a frame that its manifest names could not be read
    │   ├── UncuttableTaskError         out of time, in a pipeline that cannot be continued
    │   ├── PayloadRefusedError         altered, repeated, late, or not this deployment's; never ran
    │   └── InternalError               a fault in aflint itself
    ├── JournalError                a run that cannot be resumed; all that is left of it stays
    │   ├── UnknownRunError             there is nothing of that run to resume
    │   ├── RunInUseError               its driver is alive, or another one has taken it over
    │   ├── ProgramChangedError         the program is not the one that was started
    │   ├── JournalDamagedError         its journal was cut short, or altered
    │   └── JournalVersionError         its journal was written by another aflint or Python
    ├── DiskFullError               no room left for spilled or shuffled data
    ├── VersionMismatchError        driver and executor disagree on Python's or aflint's version
    ├── BackendError                AWS (or its emulator) refused; carries its code and request id
    │   ├── CredentialsError            none were found, or they are expired or unknown
    │   ├── AccessDeniedError           a permission is missing
    │   ├── FunctionNotFoundError       the Lambda function is not there
    │   ├── BucketNotFoundError         the S3 bucket is not there
    │   ├── ObjectNotFoundError         an object in S3 is not there
    │   ├── QueueDeletedError           an SQS queue is not there, or was deleted while in use
    │   ├── EndpointUnreachableError    no connection to the service
    │   ├── WrongRegionError            the bucket or the credentials belong to another region
    │   ├── PayloadTooLargeError        a request or response over a limit of the service
    │   ├── BundleMismatchError         the deployed bundle does not fit this driver, or is broken
    │   └── ServiceUnavailableError     the service went on failing or throttling
    ├── DeployError                 deploying did not work; its tree: `aflint.deploy.errors`
    └── SessionError                a session used before it was entered, or after it was closed

A class says whether another attempt may help (`retriable`); nothing else in aflint decides that.
"""

from __future__ import annotations

import reprlib
from typing import Any, ClassVar


class AflintError(Exception):
    """Root of all errors that aflint raises on purpose."""

    retriable: ClassVar[bool] = False


class ConfigError(AflintError):
    """A setting that is unknown, of the wrong type or out of range."""


class UnpricedRegionError(ConfigError):
    """Dollars were asked for, and there are no prices for the region."""


class InvalidArgumentError(AflintError, ValueError):
    """An argument of an API call that cannot be right."""


class InputError(AflintError):
    """Something is wrong with what is to be read."""


class PathNotFoundError(InputError, FileNotFoundError):
    """No such path, or a glob that matches nothing: `path`, where something was to be read."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path

    def __str__(self) -> str:
        return Exception.__str__(self)


class UnreadableInputError(InputError, PermissionError):
    """The path is there, but may not be read."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class InputChangedError(InputError):
    """A file was changed or replaced after it was listed: its splits would be of two versions."""


class SubfolderError(InputError):
    """A folder, `path`, lies within one whose files are to be read, and `recursive` is not set."""

    path: str = ""


class UnsupportedCompressionError(InputError):
    """A file whose name says that it is compressed, in a way that aflint cannot read."""


class CorruptInputError(InputError):
    """A compressed or pickled file that is truncated or damaged."""


class TextDecodingError(InputError):
    """Bytes that are not text in the encoding asked for; names the file and the byte offset."""


class OutputError(AflintError):
    """Something is wrong with what is to be written."""


class OutputExistsError(OutputError, FileExistsError):
    """The target of a save is already there: `path`."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path

    def __str__(self) -> str:
        return Exception.__str__(self)


class SerializationError(AflintError):
    """Data or functions that cannot travel to another process.

    `partition` is that of the task that found it; None where the driver did.
    """

    partition: int | None = None


class ClosureError(SerializationError):
    """A function, or something it captured, cannot be pickled."""


class UnportableKeyError(SerializationError, TypeError):
    """A key that cannot be hashed, or whose hash differs from process to process."""


class RecordTooLargeError(SerializationError):
    """One record that is larger than the transport can carry."""


class FrameError(AflintError):
    """A frame that is altered, foreign or of another version; nothing in it was decoded."""


class JobError(AflintError):
    """A job that ended without an answer."""


class TaskError(JobError):
    """User code raised an exception in a task.

    `str()` shows the remote traceback, with the user's own lines, and which attempt it was.
    `raised` is the name of the exception's class. The exception itself is the `__cause__` where it
    could be pickled. Long texts are shortened.
    """

    def __init__(
        self,
        message: str,
        *,
        partition: int = -1,
        stage: int = -1,
        attempt: int = -1,
        raised: str = "",
        remote_traceback: str = "",
    ) -> None:
        super().__init__(message)
        self.partition = partition
        self.stage = stage
        self.attempt = attempt
        self.raised = raised
        self.remote_traceback = remote_traceback

    kept = ""
    """Where the task lies in storage, with `keep_failed`."""


class AttemptsExhaustedError(JobError):
    """One task was lost as often as `max_attempts` allows."""


class JobCancelledError(JobError):
    """The job was cancelled by `session.cancel`, or by the end of its session."""


class BudgetExceededError(JobError):
    """The job was stopped before it would pass its budget in dollars.

    `spent_usd` is what it had cost when it was stopped; what Lambda bills for invocations that ran
    on is not in it.
    """

    spent_usd: float = 0.0


class DeadlineExceededError(JobError):
    """The job was stopped at its wall-clock deadline. `spent_usd`: what it had cost by then."""

    spent_usd: float = 0.0


class AttemptError(AflintError):
    """One attempt of one task failed.

    `billed_seconds` and `memory_mb` are those of its function, where it ran in one that said so.
    """

    billed_seconds: float = 0.0
    memory_mb: int = 0


class WorkerLostError(AttemptError):
    """The process that ran the attempt ended."""

    retriable = True


class OutOfMemoryError(AttemptError):
    """The attempt needed more memory than its process may have, which was killed for it or not."""

    retriable = True


class TimedOutError(AttemptError):
    """The attempt ran into the time limit of its function."""

    retriable = True


class ThrottledError(AttemptError):
    """The service refused the call for now: it never ran, and costs no attempt.

    `retry_after_s` is how long the service asks to wait, where it says so.
    """

    retriable = True
    retry_after_s: float | None = None


class FetchFailedError(AttemptError):
    """Frames that the manifest names could not be read: `maps` are to be run again.

    `job` opened the shuffle: an earlier one, if the shuffle was kept. `waited`: the frames did not
    come in time, and still may; otherwise they are known to be lost.
    """

    retriable = True

    def __init__(
        self, message: str, *, shuffle: int = -1, maps: tuple[int, ...] = (), waited: bool = False
    ) -> None:
        super().__init__(message)
        self.job = ""
        self.shuffle = shuffle
        self.maps = maps
        self.waited = waited


class UncuttableTaskError(AttemptError):
    """A task ran out of time whose pipeline would change meaning if it were continued elsewhere."""


class PayloadRefusedError(AttemptError):
    """An executor did not open what it was sent: nothing of it was decoded, and nothing ran.

    The payload was altered, late, sent before, or sealed with another secret. The attempt may be
    made anew, with a payload of its own.
    """

    retriable = True


class InternalError(AttemptError):
    """A fault in aflint itself; please report it."""


class DiskFullError(AflintError):
    """No room is left on the disk for spilled or shuffled data."""


class VersionMismatchError(AflintError):
    """Driver and executor disagree on the version of Python or of aflint."""


class JournalError(AflintError):
    """A run that cannot be resumed; what is left of it stays as it is."""


class UnknownRunError(JournalError):
    """There is nothing of that run to resume: it was never started, has ended, or was removed."""


class RunInUseError(JournalError):
    """The driver of the run is alive, or another driver has taken the run over."""


class ProgramChangedError(JournalError):
    """The program asks for something else than the run that it resumes."""


class JournalDamagedError(JournalError):
    """A journal that was cut short or altered; nothing of the damaged part was decoded."""


class JournalVersionError(JournalError, VersionMismatchError):
    """A journal that another version of aflint or of Python wrote."""


class EventLogError(AflintError):
    """An event log cannot be read: it is another version's, damaged, or none."""


class CellError(AflintError):
    """Code that was typed into the page raised an error: its text is the code's own traceback."""


class BackendError(AflintError):
    """AWS, or an emulator of it, refused a call.

    `code` is the service's own name for the error, `request_id` what its support asks for.
    """

    code: str = ""
    request_id: str = ""


class CredentialsError(BackendError):
    """AWS credentials that are missing, expired, or unknown to the service."""


class AccessDeniedError(BackendError):
    """The credentials do not permit the call."""


class FunctionNotFoundError(BackendError):
    """The Lambda function is not there."""


class BucketNotFoundError(BackendError):
    """The S3 bucket is not there."""


class ObjectNotFoundError(BackendError):
    """An object in S3 is not there, or is shorter than it was."""


class QueueDeletedError(BackendError):
    """An SQS queue is not there: it was deleted, or its job is over."""


class EndpointUnreachableError(BackendError):
    """No connection to the service could be made, or none that lasts."""


class WrongRegionError(BackendError):
    """The bucket, or the credentials' scope, belongs to another region."""


class PayloadTooLargeError(BackendError):
    """A request or a response is over a limit of the service."""


class BundleMismatchError(BackendError, VersionMismatchError):
    """The function's bundle was built for another Python or aflint, or cannot be loaded."""


class ServiceUnavailableError(BackendError):
    """The service kept failing or throttling until trying again was no longer worthwhile."""

    retriable = True


class SessionError(AflintError):
    """A session that was used before it was entered, or after it was closed."""


def subclass_named(name: str) -> type[AflintError] | None:
    """Return the class of this tree with that name, or None."""
    waiting: list[type[AflintError]] = [AflintError]
    while waiting:
        cls = waiting.pop()
        if cls.__name__ == name:
            return cls
        waiting.extend(cls.__subclasses__())
    return None


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 120
_repr.maxlong = 60


def shown(value: object) -> str:
    """Return a value of the user's as messages show it: in few words, however large it is."""
    return _repr.repr(value)


def rebuild(kind: str, message: str, details: dict[str, Any]) -> AflintError:
    """Return the error that a task reported by class name, message and attributes."""
    cls = subclass_named(kind) or InternalError
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(details)
    return error
