"""The other form of a bundle: a folder from which a container image is built, up to 10 GB."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aflint import __version__
from aflint.deploy.bundle import own_files
from aflint.deploy.errors import DeployError
from aflint.deploy.functions import HANDLER
from aflint.deploy.requirements import Requirements
from aflint.deploy.target import Target

_PLATFORMS: Final = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}


@dataclass(frozen=True)
class ImageContext:
    """A written build context. `commands` build the image, push it, and deploy it, in order."""

    folder: Path
    commands: tuple[str, ...]


def write_image_context(
    folder: Path, target: Target, requirements: Requirements, repository: str = "aflint"
) -> ImageContext:
    """Write a Dockerfile, requirements and aflint itself into a new or empty folder.

    Raises:
        DeployError: the folder holds something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "Dockerfile").exists():
        raise DeployError(f"{folder} holds other files: name a new or empty folder (--output).")
    folder.mkdir(parents=True, exist_ok=True)
    # Modules that this version no longer has must not stay in the image.
    shutil.rmtree(folder / "aflint", ignore_errors=True)
    for name, source in own_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    wheels = [Path(item) for item in requirements.wanted if item.endswith(".whl")]
    for wheel in wheels:
        shutil.copyfile(wheel, folder / wheel.name)
    (folder / "constraints.txt").write_text("\n".join(requirements.pins) + "\n")
    (folder / "requirements.txt").write_text(_requirements(requirements))
    (folder / "Dockerfile").write_text(dockerfile(target, [wheel.name for wheel in wheels]))
    return ImageContext(folder, commands(folder, target, repository))


def dockerfile(target: Target, wheels: list[str]) -> str:
    """Return the Dockerfile, from AWS's own base image for the target's Python. Pure."""
    copied = " ".join(["requirements.txt", "constraints.txt", *wheels])
    return f"""\
FROM public.ecr.aws/lambda/python:{target.python}
COPY {copied} ${{LAMBDA_TASK_ROOT}}/
RUN pip install --no-cache-dir --target "${{LAMBDA_TASK_ROOT}}" \\
    --requirement requirements.txt --constraint constraints.txt
COPY aflint ${{LAMBDA_TASK_ROOT}}/aflint
RUN python -m compileall -q --invalidation-mode unchecked-hash "${{LAMBDA_TASK_ROOT}}"
CMD ["{HANDLER}"]
"""


def commands(folder: Path, target: Target, repository: str) -> tuple[str, ...]:
    """Return what builds, pushes and deploys the image. Pure."""
    registry = "$ACCOUNT.dkr.ecr.$REGION.amazonaws.com"
    image = f"{registry}/{repository}:{__version__}-py{target.python}"
    platform = _PLATFORMS[target.architecture]
    arch = f" --arch {target.architecture}"
    return (
        # Lambda does not take the image index that an attestation makes of an image.
        f"docker build --platform {platform} --provenance=false -t {image} {folder}",
        f"aws ecr create-repository --repository-name {repository}",
        "aws ecr get-login-password | docker login --username AWS --password-stdin " + registry,
        f"docker push {image}",
        f"aflint deploy --image-uri {image}{arch}",
    )


def _requirements(requirements: Requirements) -> str:
    lines = [file.read_text() for file in requirements.files]
    lines += [
        f"./{Path(item).name}" if item.endswith(".whl") else item for item in requirements.wanted
    ]
    return "\n".join(line.rstrip("\n") for line in lines) + "\n"
