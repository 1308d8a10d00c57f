"""What can go wrong between a driver and a deployed function, beside what AWS itself refuses.

DeployError
├── BundleError                 the function's zip cannot be made
│   ├── NoWheelError                a requirement has no wheel for the function's platform
│   ├── RequirementError            a requirement that cannot be read, or two that disagree
│   ├── PackageIndexError           the package index cannot be reached
│   └── BundleTooLargeError         more than Lambda takes; names the largest packages
├── UnsupportedRuntimeError     Lambda has no runtime for this Python
├── NameTakenError              something of that name is there, and is not aflint's
└── FunctionFailedError         Lambda could not bring a function into its new state
"""

from __future__ import annotations

from aflint.errors import AflintError


class DeployError(AflintError):
    """Deploying, inspecting or removing did not work."""


class BundleError(DeployError):
    """The function's bundle cannot be made."""


class NoWheelError(BundleError):
    """A requirement has no wheel for the function's platform and Python."""


class RequirementError(BundleError):
    """A requirement that cannot be read, or requirements that cannot be met together."""


class PackageIndexError(BundleError):
    """The package index cannot be reached."""


class BundleTooLargeError(BundleError):
    """The bundle is larger than Lambda takes; names the largest packages."""


class UnsupportedRuntimeError(DeployError):
    """Lambda has no runtime for this version of Python or this architecture."""


class NameTakenError(DeployError):
    """A bucket, role or function of that name is there already, and is not aflint's."""


class FunctionFailedError(DeployError):
    """Lambda could not bring a function into its new state."""
