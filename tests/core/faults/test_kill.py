"""A short sweep of kills; `benchmarks/kill_sweep.py` is the long one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SWEEP = """
import json, sys
from pathlib import Path
from kill_sweep import sweep
print(json.dumps(sweep(Path(sys.argv[1]), calls=9, moments=5, seed=0)))
"""


@pytest.mark.slow
def test_a_killed_run_resumes_from_the_last_checkpoint_or_the_one_before(tmp_path: Path) -> None:
    places = [ROOT / "benchmarks", ROOT / "tests" / "toy"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))}
    command = [sys.executable, "-c", SWEEP, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["points"] for row in rows] == [9, 9, 5]
    assert [row["mixture"] for row in rows] == [0, 0, 0], done.stderr
    for saves in rows[:2]:
        assert saves["last"] > 0
        assert saves["one before"] > 0
