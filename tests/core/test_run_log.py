"""What a run writes down."""

import json
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from unite_core.run_log import RunLog, summary


def steps(output: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (output / "log.jsonl").read_text().splitlines()]


def write(output: Path, done: int, *numbers: int) -> None:
    with RunLog(output, done, {"training": {"steps": 9}, "list": [1, 2]}) as log:
        for number in numbers:
            log.write(number, number / 9, 1.0, {"loss": 1.0 / number})


def test_values_are_kept_in_both_logs(tmp_path: Path) -> None:
    write(tmp_path, 0, 1, 2)
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last == {"step": 2, "loss": 0.5}
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 1.0), (2, 0.5)]
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["list"] == [1, 2]


def test_a_resumed_run_forgets_what_came_later(tmp_path: Path) -> None:
    write(tmp_path, 0, 1, 2, 3)
    write(tmp_path, 2, 3, 4)
    assert steps(tmp_path) == [1, 2, 3, 4]


def test_a_resumed_run_forgets_the_updates_that_it_repeats(tmp_path: Path) -> None:
    """The refused update 2 is that after two updates: a run that has done two repeats it."""
    report = tmp_path / "nonfinite.jsonl"
    report.write_text('{"step": 1}\n{"step": 2}\n{"st')
    write(tmp_path, 2, 3)
    assert report.read_text() == '{"step": 1}\n'


def test_a_line_cut_short_is_dropped(tmp_path: Path) -> None:
    write(tmp_path, 0, 1)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    write(tmp_path, 1, 2)
    assert steps(tmp_path) == [1, 2]


def test_each_start_notes_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/unite", "train", "a b"])
    write(tmp_path, 0)
    monkeypatch.setattr("sys.argv", ["unite", "train", "--resume", "auto"])
    write(tmp_path, 0)
    commands = (tmp_path / "command.txt").read_text()
    assert commands == "unite train 'a b'\nunite train --resume auto\n"


def test_the_terminal_line_says_speed_losses_and_time_left() -> None:
    line = summary(7, 3725.4, {"loss": 0.123456, "samples_per_second": 150.0})
    assert line == "step 7  loss 0.1235  samples_per_second 150  left 1:02:05"


def test_a_process_killed_at_the_start_loses_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 0, 1, 2)

    def die(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, 2)
    assert steps(tmp_path) == [1, 2]
