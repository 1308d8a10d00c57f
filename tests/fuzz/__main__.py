"""Coverage-guided fuzzing by atheris: `python -m tests.fuzz [TARGET ...] --seconds 300`.

Each target runs in a process of its own, with a cap on its memory and on the time of one input.
What is found is kept under build/fuzz, to be put among `tests/fuzz/finds.py` when it is mended;
what reaches new code is kept there, too, and is where the next run begins.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import sys
from pathlib import Path

FOLDER = Path("build/fuzz")
MEMORY_MB = 768
"""Address space beyond what the process has when it begins."""

ONE_INPUT_S = 5
LONGEST = 4096


def main() -> int:
    """Fuzz targets one after the other; the exit status says whether anything was found."""
    if sys.argv[1:2] == ["--one"]:
        _fuzz(sys.argv[2], int(sys.argv[3]))
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    args = parser.parse_args()
    unknown = set(args.targets) - set(TARGETS)
    if unknown:
        parser.error(f"unknown target {', '.join(sorted(unknown))}")
    command = [sys.executable, "-m", "tests.fuzz", "--one"]
    failed = [
        name
        for name in args.targets or TARGETS
        if subprocess.run([*command, name, str(args.seconds)], check=False).returncode
    ]
    print(f"found something in: {', '.join(failed)}" if failed else "found nothing")
    return bool(failed)


def _fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which must not have imported aflint; does not return."""
    import atheris

    with atheris.instrument_imports(include=["aflint"], enable_loader_override=False):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    corpus = FOLDER / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds:
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + (MEMORY_MB << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    arguments = [
        *(f"-max_total_time={seconds}", f"-timeout={ONE_INPUT_S}", f"-max_len={LONGEST}"),
        *(f"-artifact_prefix={FOLDER / name}/", "-print_final_stats=1", str(corpus)),
    ]
    atheris.Setup([sys.argv[0], *arguments], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
