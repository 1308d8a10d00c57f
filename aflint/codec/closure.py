"""Functions as bytes, by cloudpickle; with an error that finds what cannot travel."""

from __future__ import annotations

import io
import pickle
import types
from collections import ChainMap
from typing import Any, ClassVar

import cloudpickle

from aflint.errors import AflintError, ClosureError, rebuild

PROTOCOL = 5


def dumps(obj: Any, what: str) -> bytes:
    """Return `obj` pickled, functions and classes of this program by value.

    `what` names it in errors, as in "the function given to map".

    Raises ClosureError, with the path to the variable or attribute that cannot be pickled and what
    to do about it. An AflintError that the object's own pickling raises (an RDD captured in a
    function) comes through as that error, with the path before its message.
    """
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, PROTOCOL).dump(obj)
    except Exception as error:
        raise _explain(obj, error, what) from error
    return buffer.getvalue()


def _code_with_file(code: types.CodeType) -> Any:
    """Take code apart as cloudpickle does, with the name of its file.

    Since 3.1.3 it drops that, and the user's own lines would be missing from tracebacks.
    """
    make, arguments = _reducers[types.CodeType](code)
    return make, tuple(code.co_filename if each == _NO_FILE else each for each in arguments)


_NO_FILE = "<dynamic-code>"
_reducers = cloudpickle.CloudPickler.dispatch_table


class _Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]
    dispatch_table: ClassVar[Any] = ChainMap({types.CodeType: _code_with_file}, _reducers)


def loads(data: bytes | memoryview) -> Any:
    """Return what `dumps` was given.

    Raises ClosureError if a module that it refers to cannot be imported here, or if it was written
    by another version of Python.
    """
    try:
        return pickle.loads(data)
    except ImportError as error:
        raise ClosureError(
            f"a function refers to a module that is not installed where the task runs: {error}. "
            f"{advice_on_missing(error)}"
        ) from error
    except Exception as error:
        raise ClosureError(
            f"a function could not be rebuilt where the task runs: {type(error).__name__}: {error}"
        ) from error


def advice_on_missing(error: ImportError) -> str:
    """Say how a module comes to be where a task runs."""
    package = (error.name or "PACKAGE").partition(".")[0]
    return (
        "A function has what was deployed, and those modules of yours that it uses by a name "
        f"imported outside of it. If {package} is an installed package, deploy it: aflint deploy "
        f"--package {package} (on localcloud: setting `requirements`). If it is your own, import "
        "it at the top of the program and not inside the function, or send it with aflint submit "
        "--py-files"
    )


def _explain(obj: Any, cause: Exception, what: str) -> AflintError:
    from aflint.codec import culprit  # only here: an executor's cold start does without

    found = culprit.find(obj, cause)
    error = found.error
    if isinstance(error, AflintError):
        message = f"{what} cannot be sent to executors: {found}: {error}"
        return rebuild(type(error).__name__, message, vars(error))
    return ClosureError(f"{what} cannot be sent to executors: {found}: {error}. {found.advice}")
