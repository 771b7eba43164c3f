"""Several processes sample and score as one does."""

import json
from pathlib import Path

import numpy as np
import pytest
from core.test_cli import call
from core.test_objective import toy_model
from core.two_processes import run_twice
from unite_core import processes
from unite_core.processes import Team, together

SAMPLE = ["sample", "model", "-n", "7", "--steps", "3", "--output", "{}.json"]
EVALUATE = ["evaluate", "model", "-n", "9", "--steps", "3", "--output", "{}-figures.json"]
EVALUATE += ["--guidance", "1", "--guidance", "2"]
COMMANDS = [SAMPLE, EVALUATE, ["sample", "model", "--trajectory", "3", "--output", "{}.png"]]


@pytest.mark.parametrize(("count", "size"), [(7, 3), (2, 4), (6, 1), (0, 2)])
def test_shares_are_a_partition(count: int, size: int) -> None:
    shares = [list(Team(rank, size).share(count)) for rank in range(size)]
    assert sorted(item for share in shares for item in share) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 12])
def test_gathering_undoes_sharing(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three processes one after the other, the first last, through a list in place of gloo."""
    monkeypatch.setattr(processes, "PIECE", 2)
    sent: dict[int, list[list[int]]] = {rank: [] for rank in range(3)}

    def exchange(piece: list[int], pieces: list[list[int]] | None) -> None:
        if pieces is None:
            sent[rank].append(piece)
        else:
            pieces[:] = [piece, sent[1].pop(0), sent[2].pop(0)]

    monkeypatch.setattr(processes.distributed, "gather_object", exchange)
    for rank in (2, 1, 0):
        team = Team(rank, 3)
        found = team.gather(list(team.share(count)), count)
        assert found == (list(range(count)) if team.first else [])
    assert not sent[1]
    assert not sent[2]


def test_a_lone_process_needs_no_group() -> None:
    with together() as team:
        assert (team.first, team.size) == (True, 1)
        assert not processes.distributed.is_initialized()


@pytest.fixture
def model_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    toy_model().save_pretrained(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def samples_and_figures(name: str) -> tuple[list[list[list[float]]], dict[str, float]]:
    """The points of NAME.json, and the figures of NAME-figures.json by their place."""
    figures = json.loads(Path(f"{name}-figures.json").read_text())
    tables = {part: figures[part] for part in ("samples", "reconstruction")}
    flat = {
        f"{part}/{row}/{metric}": value
        for part, table in tables.items()
        for row, values in table.items()
        for metric, value in values.items()
    }
    return json.loads(Path(f"{name}.json").read_text()), flat


@pytest.mark.slow
def test_two_processes_make_what_one_makes(model_directory: Path) -> None:
    for command in COMMANDS:
        printed = run_twice(["-m", "unite_core.cli", *(word.format("two") for word in command)])
        assert printed.count("next: ") == 1
        for name, size in (("one", "512"), ("small", "2")):
            one = [word.format(name) for word in command]
            assert call([*one, "--batch-size", size]) == 0
    samples, figures = samples_and_figures("one")
    assert figures.keys() > {"samples/guidance 1.0/radius", "samples/guidance 2.0/radius"}
    for name in ("small", "two"):
        others, other_figures = samples_and_figures(name)
        for a, b in zip(samples, others, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)
        assert other_figures == pytest.approx(figures, abs=1e-4)
    assert Path("two.png").read_bytes() == Path("one.png").read_bytes()
