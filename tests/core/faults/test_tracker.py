"""A run goes on without its tracker."""

from collections.abc import Callable
from pathlib import Path

import pytest
from core.test_training import STEPS, log_lines, newest, toy_trainer
from unite_core import run_log


def file_in_the_way(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output.mkdir()
    (output / "tensorboard").write_text("")


def refusal(*arguments: object, **options: object) -> None:
    raise ConnectionError("no route to the tracker")


def refuses_to_start(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "SummaryWriter", refusal)


def refuses_values(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log.SummaryWriter, "add_scalar", refusal)


def refuses_to_close(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log.SummaryWriter, "close", refusal)


@pytest.mark.parametrize(
    "fault", [file_in_the_way, refuses_to_start, refuses_values, refuses_to_close]
)
def test_a_tracker_that_fails_costs_a_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: Callable[[Path, pytest.MonkeyPatch], None],
) -> None:
    output = tmp_path / "run"
    fault(output, monkeypatch)
    toy_trainer(output).train()
    assert newest(output)["run"]["progress"]["step"] == STEPS
    assert len(log_lines(output)) == STEPS
    (warning,) = [record.message for record in caplog.records if "TensorBoard" in record.message]
    assert warning.startswith(f"no TensorBoard in {output / 'tensorboard'} from here on: ")
