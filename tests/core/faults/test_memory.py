"""A run that asks for more memory than there is says what to change."""

import resource
from pathlib import Path

from core.faults.children import ended, start, unite

BYTES_MORE = 150_000_000


def limited(output: Path, *overrides: str) -> None:
    """Trains on batches of 10,000, with so much memory beyond what the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + BYTES_MORE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    settings = ["data.count=10000", "training.batch_size=10000", "objective.draws=3"]
    settings += ["training.steps=1", "training.preview_steps=null", *overrides]
    unite("train", "toy-small", "--output", output, *(w for s in settings for w in ("-o", s)))


def test_a_batch_too_large_is_one_line_that_helps(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert ended(start(limited, tmp_path / "run", log=log)) == 1
    start_line, said = log.read_text().split("\n", 1)
    assert "starts on cpu" in start_line
    assert said.startswith("error: out of memory at step 0: 10000 samples went through at once")
    assert "Traceback" not in said
    assert said.count("\n") == 1
    assert "3 of 3 flow draws" in said
    for advice in ("activation_checkpointing=true", "chunk=1", "accumulation=2"):
        assert advice in said
    advised = ["objective.activation_checkpointing=true", "objective.chunk=1"]
    advised.append("training.accumulation=20")
    assert ended(start(limited, tmp_path / "smaller", *advised, log=log)) == 0, log.read_text()
