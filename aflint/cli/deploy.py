"""`aflint deploy`: bundle, bucket, role and functions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aflint.cli.command import Json, command, console, run, write_json
from aflint.cli.panels import Panel
from aflint.config import Config

if TYPE_CHECKING:
    from rich.console import Console

    from aflint.deploy.options import DeployOptions
    from aflint.deploy.up import Deployment


class Arch(StrEnum):
    """Lambda's architectures."""

    x86_64 = "x86_64"
    arm64 = "arm64"


async def bring_up(
    config: Config, options: DeployOptions, out: Console, *, dry_run: bool
) -> Deployment:
    """Deploy, writing each step when it is done."""
    from aflint.deploy.up import deploy

    with out.status("Deploying", spinner="line") as status:

        def done(step: object) -> None:
            # A spinner that runs would be drawn over the line.
            status.stop()
            out.print(f"[green]done[/] {step}", markup=True)
            status.start()

        return await deploy(config, options, dry_run=dry_run, on_step=done)


def show(deployment: Deployment, out: Console, *, dry_run: bool) -> None:
    """Write what is deployed now, or would be."""
    if dry_run:
        for step in deployment.steps:
            out.print(f"[yellow]would[/] {step}")
    if not deployment.steps:
        out.print("Nothing to change: everything is as it should be.")
    functions = ", ".join(deployment.functions.values())
    bundle = deployment.bundle
    out.print(f"functions  {functions} (Python {deployment.python})")
    out.print(f"bucket     {deployment.bucket}")
    out.print(f"role       {deployment.role_arn}")
    if bundle is not None:
        size, unzipped = bundle.size / 2**20, bundle.unzipped / 2**20
        out.print(f"bundle     {size:.1f} MB, {unzipped:.1f} MB unzipped, sha256 {bundle.sha256}")


def as_dict(deployment: Deployment, *, dry_run: bool) -> dict[str, Any]:
    """Return what is deployed now, or would be, as JSON has it."""
    bundle = deployment.bundle
    return {
        "dry_run": dry_run,
        "steps": [str(step) for step in deployment.steps],
        "account": deployment.account,
        "region": deployment.region,
        "functions": {str(memory): name for memory, name in deployment.functions.items()},
        "python": deployment.python,
        "bucket": deployment.bucket,
        "role": deployment.role_arn,
        "bundle": bundle and {
            "bytes": bundle.size, "unzipped": bundle.unzipped, "sha256": bundle.sha256,
        },
    }  # fmt: skip


def print_iam(config: Config, account: str) -> None:
    """Write all policies as JSON; asks AWS nothing."""
    from aflint.deploy.names import ANY, names_of
    from aflint.deploy.policies import all_policies

    names = names_of(config, account, config.region or ANY)
    write_json(all_policies(names))


def write_image(config: Config, options: DeployOptions, folder: Path, out: Console) -> None:
    """Write a build context, and the commands that are to follow."""
    from aflint.deploy.image import write_image_context
    from aflint.deploy.requirements import requirements_of
    from aflint.deploy.target import lambda_target

    target = lambda_target(options.architecture or "x86_64")
    requirements = requirements_of(options.packages, options.requirements)
    context = write_image_context(folder, target, requirements, config.function.lower())
    out.print(f"Wrote {context.folder}. With ACCOUNT and REGION set, build, push and deploy it:")
    for each in context.commands:
        typer.echo(f"  {each}")


def configured_requirements(config: Config) -> tuple[Path, ...]:
    """Return the requirements file that the configuration names, if it does."""
    return (Path(config.requirements),) if config.requirements else ()


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "deploy", Panel.DEPLOY)
    def deploy_command(
        config: Config,
        memory_mb: Annotated[
            int | None, typer.Option("--memory-mb", help="Memory of the smallest function.")
        ] = None,
        sizes: Annotated[
            int, typer.Option("--sizes", help="Memory sizes, each twice the one before.")
        ] = 3,
        tmp_mb: Annotated[int, typer.Option("--tmp-mb", help="Size of /tmp.")] = 512,
        timeout_s: Annotated[
            int, typer.Option("--timeout-s", help="Time limit, at most 900.")
        ] = 900,
        arch: Annotated[
            Arch | None, typer.Option("--arch", help="x86_64, or arm64 (a fifth cheaper).")
        ] = None,
        package: Annotated[
            list[str] | None,
            typer.Option("--package", "-p", help="Further package or .whl file; can be repeated."),
        ] = None,
        requirements: Annotated[
            list[Path] | None,
            typer.Option("--requirements", "-r", help="Requirements file; can be repeated."),
        ] = None,
        read: Annotated[
            list[str] | None,
            typer.Option("--read", help="s3:// prefix that jobs may read; can be repeated."),
        ] = None,
        write: Annotated[
            list[str] | None,
            typer.Option("--write", help="s3:// prefix that jobs may write; can be repeated."),
        ] = None,
        reserved_concurrency: Annotated[
            int | None,
            typer.Option("--reserved-concurrency", help="Reserved for the smallest function."),
        ] = None,
        expire_days: Annotated[
            int, typer.Option("--expire-days", help="Days after which the bucket's objects go.")
        ] = 3,
        role: Annotated[
            str | None, typer.Option("--role", help="ARN of an existing role to use.")
        ] = None,
        refresh: Annotated[
            bool,
            typer.Option("--refresh", help="Build the bundle again instead of using the cache."),
        ] = False,
        rotate_secret: Annotated[
            bool,
            typer.Option("--rotate-secret", help="Make a new secret: open sessions are refused."),
        ] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
        ] = False,
        image: Annotated[
            bool, typer.Option("--image", help="Write a Dockerfile and its folder instead.")
        ] = False,
        output: Annotated[Path, typer.Option("--output", "-o", help="Folder for --image.")] = Path(
            "aflint-image"
        ),
        image_uri: Annotated[
            str | None, typer.Option("--image-uri", help="Deploy this image in place of a zip.")
        ] = None,
        print_policies: Annotated[
            bool, typer.Option("--print-iam", help="Print the policies as JSON, and do nothing.")
        ] = False,
        account: Annotated[
            str, typer.Option("--account", help="Account number for --print-iam.")
        ] = "*",
        as_json: Json = False,
    ) -> None:
        """Create or update what runs jobs on AWS; running it again changes nothing."""
        from aflint.deploy.options import DeployOptions

        if memory_mb is not None:
            config = config.replace(memory_mb=memory_mb)
        if print_policies:
            print_iam(config, account)
            return
        options = DeployOptions(
            architecture=arch.value if arch else None,
            packages=tuple(package or ()),
            requirements=tuple(requirements or configured_requirements(config)),
            sizes=sizes,
            tmp_mb=tmp_mb,
            timeout_s=timeout_s,
            reserved_concurrency=reserved_concurrency,
            expire_days=expire_days,
            role_arn=role,
            image_uri=image_uri,
            reads=tuple(read or ()),
            writes=tuple(write or ()),
            refresh=refresh,
            rotate_secret=rotate_secret,
        )
        out = console(stderr=as_json)
        if image:
            write_image(config, options, output, out)
            return
        deployment = run(bring_up(config, options, out, dry_run=dry_run))
        if as_json:
            write_json(as_dict(deployment, dry_run=dry_run))
        else:
            show(deployment, out, dry_run=dry_run)
