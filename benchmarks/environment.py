"""What every result is stamped with, and where it is written."""

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
RESULTS = HERE / "results"

Row = dict[str, Any]


def processor() -> str:
    """The CPU's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def git(*arguments: str) -> str:
    """What a git command prints."""
    command = ["git", "-C", str(HERE), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit() -> str:
    """The commit, marked where the tree differs from it other than in results."""
    changes = git("status", "--porcelain", "--", ":/", f":!{RESULTS.name}")  # git is in HERE
    return git("rev-parse", "HEAD") + (" with changes" if changes else "")


def environment() -> Row:
    """Hardware, versions, commit and command of this run."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "rdkit": version("rdkit"),
        "python": platform.python_version(),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", *sys.argv]),
    }


def cell(value: Any) -> str:
    """A figure as the table shows it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def table(rows: Sequence[Row]) -> str:
    """Markdown; the first row's keys are the columns."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([cell(row[c]) for c in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def publish(name: str, rows: Sequence[Row], **recipe: Any) -> None:
    """Prints the rows, and writes them with recipe and environment to results/NAME.json and .md."""
    RESULTS.mkdir(exist_ok=True)
    about = {"recipe": recipe, "environment": environment()}
    text = json.dumps({"rows": list(rows), **about}, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    stamp = f"```json\n{json.dumps(about, indent=2)}\n```"
    (RESULTS / f"{name}.md").write_text(f"# {name}\n\n{table(rows)}\n\n{stamp}\n")
    print(table(rows))
