"""`aflint doctor`: what keeps jobs from running, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.text import Text

from aflint.cli.command import Json, command, console, run, write_json
from aflint.cli.panels import Panel
from aflint.config import Config

if TYPE_CHECKING:
    from aflint.deploy.doctor import Finding

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def line_of(finding: Finding) -> Text:
    """Return a finding as a line for people."""
    level = finding.level.value
    words = f"{finding.subject}: {finding.seen}"
    if finding.advice:
        words += ("" if words.endswith(".") else ".") + f" {finding.advice}"
    return Text.assemble((f"{level:<5}", _STYLES[level]), words)


def register(app: typer.Typer) -> None:
    """Add the sub-command."""

    @command(app, "doctor", Panel.LOOK)
    def doctor_command(
        config: Config,
        as_json: Json = False,
    ) -> None:
        """Check credentials, permissions, quotas and versions; exit with 1 if something fails."""
        from aflint.deploy.doctor import Level, examine

        findings = run(examine(config))
        if as_json:
            rows = [
                {"level": f.level.value, "subject": f.subject, "seen": f.seen, "advice": f.advice}
                for f in findings
            ]
            write_json(rows)
        else:
            out = console()
            for finding in findings:
                out.print(line_of(finding))
        if any(finding.level is Level.FAIL for finding in findings):
            raise typer.Exit(1)
