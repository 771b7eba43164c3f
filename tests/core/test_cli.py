"""The command line, from training to the report, and what it says to bad input."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from toy_modality import ToyModality
from unite_core.cli import main
from unite_core.cli.train import refuse_lone_process
from unite_core.errors import ConfigurationError, DataError
from unite_core.plugins import load_plugin

Run = Callable[..., tuple[int, str, str]]


def call(arguments: Sequence[object]) -> int:
    """The exit code of `unite` with these arguments, in this process."""
    with mock.patch("sys.argv", ["unite", *map(str, arguments)]):
        try:
            main()
        except SystemExit as error:
            return int(error.code or 0)
    return 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    output = tmp_path_factory.mktemp("runs") / "toy"
    assert call(["train", "toy-small", "--output", output]) == 0
    return output


@pytest.fixture
def unite(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Exit code, stdout and stderr of a command, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = call(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def write_points(path: Path, *samples: list[list[float]]) -> Path:
    path.write_text(json.dumps(samples))
    return path


def pixels(path: str) -> tuple[int, int]:
    """Width and height of a picture, in which the toy draws a pixel for each sample."""
    with Image.open(path) as picture:
        return picture.size


def test_help_and_checks_need_no_torch() -> None:
    code = "import sys, unite_core.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_training_leaves_a_model_a_log_and_pictures(trained: Path) -> None:
    assert (trained / "model" / "model.safetensors").is_file()
    assert len((trained / "log.jsonl").read_text().splitlines()) == 3
    assert len(list((trained / "previews").iterdir())) == 2


def test_ablations_are_chosen_in_the_recipe_and_kept_with_the_weights(unite: Run) -> None:
    from unite_core.model import load_model

    choices = ["objective.stop_gradient=false", "encoder.denoiser=separate"]
    choices += ["encoder.latent_norm=false", "training.steps=2"]
    overrides = [word for choice in choices for word in ("-o", choice)]
    assert unite("train", "toy-small", "--output", "run", *overrides)[0] == 0
    model = load_model("run")
    assert model.denoiser is not None
    assert model.encoder.output.latent_norm is None
    assert "stop_gradient: false" in Path("run/config.yaml").read_text()


def test_training_goes_on_by_resume_alone(unite: Run, trained: Path) -> None:
    code, _, err = unite("train", "toy-small", "--output", trained)
    assert (code, "go on with --resume auto" in err) == (2, True)
    code, out, _ = unite("train", "toy-small", "--output", trained, "--resume", "auto")
    assert code == 0
    assert f"next: unite report {trained}" in out


def test_training_starts_from_the_weights_of_a_model(unite: Run, trained: Path) -> None:
    still = ["optimizer.learning_rate=1e-12", "optimizer.adamw_learning_rate=1e-12"]
    options = [part for key in [*still, "training.steps=1"] for part in ("-o", key)]
    assert unite("train", "toy-small", "--from", trained, "--output", "tuned", *options)[0] == 0
    before, after = (
        load_file(run / "model" / "model.safetensors") for run in (trained, Path("tuned"))
    )
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[key], after[key], atol=1e-6) for key in before)
    again = ["train", "toy-small", "--from", "no/such/model", "--output", "tuned", *options]
    assert unite(*again, "--resume", "auto")[0] == 0  # the run's own weights are all it needs


def test_a_resumed_run_keeps_its_own_weights(unite: Run, trained: Path) -> None:
    code, _, err = unite("train", "toy-small", "--from", "x/y", "--resume", trained)
    assert (code, "has weights of its own" in err) == (2, True)


def test_samples_are_written_and_repeat_by_seed(unite: Run, trained: Path) -> None:
    for name, seed in (("a.json", 1), ("b.json", 1), ("c.json", 2)):
        code, out, _ = unite(
            "sample", trained, "-n", 5, "--steps", 3, "--seed", seed, "--output", name
        )
        assert code == 0
        assert f"wrote {name}\nnext: unite evaluate {name}" in out
    a, b, c = (Path(f"{name}.json").read_text() for name in "abc")
    assert a == b != c
    assert len(json.loads(a)) == 5


@pytest.mark.parametrize("words", [["--point-count", "3"], ["--point-count=3"]])
def test_a_modality_has_sample_options_of_its_own(
    unite: Run, trained: Path, words: list[str]
) -> None:
    command = ["sample", trained, "-n", 4, "--output", "s.json", "--steps", 2]
    assert unite(*command, *words)[0] == 0
    assert [len(points) for points in json.loads(Path("s.json").read_text())] == [3] * 4


def test_a_trajectory_is_a_picture_with_a_column_for_each_level(unite: Run, trained: Path) -> None:
    command = ["sample", trained, "--trajectory", 3, "--steps", 5, "--output", "strips.png"]
    code, out, _ = unite(*command, "-n", 2)
    assert (code, "wrote strips.png" in out) == (0, True)
    assert pixels("strips.png") == (3, 2)
    assert unite(*command)[0] == 0
    assert pixels("strips.png") == (3, 4)


def test_an_interpolation_is_a_row_between_two_files(unite: Run, trained: Path) -> None:
    two, three = [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    for name, sample in (("a", two), ("b", two[::-1]), ("c", three)):
        write_points(Path(f"{name}.json"), sample, three)
    command = ["sample", trained, "--output", "row.png", "--interpolate", "a.json"]
    assert unite(*command, "b.json", "-n", 5)[0] == 0
    assert pixels("row.png") == (5, 1)
    code, _, err = unite(*command, "c.json")
    assert (code, "between 2 and 3 latents" in err) == (2, True)
    code, _, err = unite(*command, "none.json")
    assert (code, "cannot read none.json: no such file" in err) == (3, True)


def test_guidance_changes_samples_of_a_model_with_a_condition(unite: Run, trained: Path) -> None:
    for name, guidance in (("a.json", 1), ("b.json", 1.0), ("c.json", 3)):
        command = ["sample", trained, "-n", 4, "--steps", 3, "--guidance", guidance]
        assert unite(*command, "--output", name)[0] == 0
    a, b, c = (Path(f"{name}.json").read_text() for name in "abc")
    assert a == b != c


def test_reconstruction_says_each_error_and_what_was_rejected(unite: Run, trained: Path) -> None:
    good, bad, large = [[1.0, 0.0], [0.0, 1.0]], [[float("nan"), 0.0]], [[0.0, 0.0]] * 6
    source = write_points(Path("in.json"), good, bad, large, good)
    code, out, err = unite("reconstruct", trained, source, "--output", "out.json")
    assert code == 0
    first, second = (line.split("\t") for line in out.splitlines()[:2])
    assert (first[0], second[0]) == ("1", "2")
    made = json.loads(Path("out.json").read_text())
    expected = np.abs(np.subtract(good, made[0])).mean()
    assert float(first[1]) == pytest.approx(expected, abs=1e-4)
    assert "rejected 1: coordinates that are not finite" in err
    assert "rejected 1: more than 5 points" in err
    assert len(made) == 2


def test_nothing_usable_is_exit_3(unite: Run, trained: Path) -> None:
    source = write_points(Path("in.json"), [[float("nan"), 0.0]])
    code, _, err = unite("reconstruct", trained, source, "--output", "out.json")
    assert (code, "holds nothing that this model can take" in err) == (3, True)
    assert not Path("out.json").exists()
    code, _, err = unite("evaluate", source)
    assert (code, "holds no usable sample" in err) == (3, True)


def test_a_model_is_scored_beside_the_data(unite: Run, trained: Path) -> None:
    code, out, _ = unite("evaluate", trained, "-n", 6, "--steps", 2)
    assert code == 0
    figures = json.loads(Path("metrics.json").read_text())
    assert list(figures["samples"]) == [str(trained), "data"]
    assert figures["samples"]["data"] == {"radius": 1.0}
    assert figures["reconstruction"][str(trained)]["mean_error"] > 0
    assert figures["settings"]["count"] == 6
    assert figures["settings"].keys() >= {"device", "products"}
    assert {"torch", "numpy"} <= figures["versions"].keys()
    assert "radius" in out


def test_the_data_section_can_be_changed_for_scoring(unite: Run, trained: Path) -> None:
    command = ["evaluate", trained, "-n", 60, "--steps", 1]
    assert unite(*command)[0] == 0
    before = json.loads(Path("metrics.json").read_text())["reconstruction"][str(trained)]
    assert unite(*command, "-o", "data.count=8")[0] == 0  # of which a few are test samples
    figures = json.loads(Path("metrics.json").read_text())
    assert figures["settings"]["changes"] == ["data.count=8"]
    assert figures["reconstruction"][str(trained)] != before
    code, _, err = unite(*command, "-o", "data.coutn=9")
    assert (code, "did you mean 'count'?" in err) == (2, True)


def test_what_weights_were_trained_for_cannot_be_changed_for_scoring(
    unite: Run, trained: Path
) -> None:
    command = ["evaluate", trained, "-n", 2, "--steps", 1]
    code, _, err = unite(*command, "-o", "data.longest=4")
    assert (code, "data.longest cannot be changed here" in err) == (2, True)
    assert not Path("metrics.json").exists()
    assert unite(*command, "-o", "data.longest=5")[0] == 0  # as it was
    code, _, err = unite(*command, "-o", "training.steps=9")
    assert (code, "training cannot be changed here" in err) == (2, True)


def test_samples_are_scored_where_the_models_data_are_gone(
    unite: Run, trained: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(self: ToyModality, split: str) -> Any:
        raise DataError("no disk")

    monkeypatch.setattr(ToyModality, "dataset", gone)
    assert unite("evaluate", trained, "-n", 6, "--steps", 2)[0] == 0
    figures = json.loads(Path("metrics.json").read_text())
    assert figures["samples"][str(trained)]["radius"] > 0
    assert figures["reconstruction"] == {str(trained): {}}
    assert "no reconstructions: no disk" in caplog.messages


def test_guidance_scales_have_a_row_each_and_a_curve(unite: Run, trained: Path) -> None:
    scales = ["--guidance", "2", "--guidance", "1", "--guidance", "2"]
    command = ["evaluate", trained, "-n", 6, "--steps", 3, "--output", "sweep.json"]
    code, out, _ = unite(*command, *scales)
    assert code == 0
    assert "wrote sweep.json\nwrote sweep.png" in out
    figures = json.loads(Path("sweep.json").read_text())
    assert list(figures["samples"]) == ["guidance 1.0", "guidance 2.0", "data"]
    assert figures["samples"]["guidance 1.0"] != figures["samples"]["guidance 2.0"]
    assert list(figures["reconstruction"]) == [str(trained)]
    assert figures["settings"]["guidance"] == [1.0, 2.0]
    assert Path("sweep.png").read_bytes().startswith(b"\x89PNG")
    assert unite(*command, "--guidance", "2", "--output", "one.json")[0] == 0
    one = json.loads(Path("one.json").read_text())
    assert one["samples"][str(trained)] == figures["samples"]["guidance 2.0"]
    assert not Path("one.png").exists()


def test_a_file_of_samples_is_scored(unite: Run) -> None:
    source = write_points(Path("in.json"), [[3.0, 4.0]], [[0.0, float("inf")]])
    code, out, err = unite("evaluate", source, "--output", "figures.json")
    assert code == 0
    figures = json.loads(Path("figures.json").read_text())
    assert figures["samples"]["in.json"] == {"records without a sample": 1, "radius": 5.0}
    assert figures["settings"]["rejected"] == {"coordinates that are not finite": 1}
    assert "rejected 1" in err
    assert "radius" in out


def test_a_file_that_two_modalities_read_is_scored_by_the_one_named(
    unite: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_points(Path("in.json"), [[3.0, 4.0]])
    toy = load_plugin("toy")
    both = [("other", replace(toy, name="other")), ("toy", toy)]
    monkeypatch.setattr("unite_core.plugins.working_plugins", lambda: both)
    code, _, err = unite("evaluate", source)
    assert (code, "other, toy; name it with --modality" in err) == (2, True)
    code, out, _ = unite("evaluate", source, "--modality", "toy")
    assert (code, "radius" in out) == (0, True)


def test_a_model_knows_its_modality(unite: Run, trained: Path) -> None:
    code, _, err = unite("evaluate", trained, "--modality", "toy")
    assert (code, "--modality is for files" in err) == (2, True)


def test_a_report_sets_models_side_by_side(unite: Run, trained: Path, tmp_path: Path) -> None:
    other = shutil.copytree(trained / "model", tmp_path / "other")
    code, out, _ = unite("report", trained, "--compare", other, "-n", 4, "--steps", 2)
    assert code == 0
    figures = json.loads((trained / "metrics.json").read_text())
    assert list(figures["samples"]) == [str(trained), str(other), "data"]
    assert figures["samples"][str(trained)] == figures["samples"][str(other)]
    page = (trained / "report.html").read_text()
    assert "unite train toy-small" in page
    for name in ("metrics.json", "samples.png", "reconstructions.png", "report.html"):
        assert f"wrote {trained / name}" in out


def test_a_report_needs_a_run(unite: Run, trained: Path) -> None:
    code, _, err = unite("report", trained / "model", "-n", 4)
    assert (code, "is not a run" in err) == (5, True)


def test_info_says_what_a_model_is(unite: Run, trained: Path) -> None:
    code, out, _ = unite("info", trained)
    assert code == 0
    for fact in ("modality: toy", "width: 16", "longest: 5", "--point-count: integer", "step: 6"):
        assert fact in out


def test_info_counts_the_numbers_in_the_weights(unite: Run, trained: Path) -> None:
    from unite_core.model import load_model

    count = sum(tensor.numel() for tensor in load_model(trained).state_dict().values())
    assert f"parameters: {count}" in unite("info", trained)[1]


def test_list_names_modalities_and_recipes(unite: Run) -> None:
    code, out, _ = unite("list")
    assert code == 0
    assert "  toy  works" in out
    assert "  toy-small  " in out


def test_data_is_prepared_by_its_modality(unite: Run) -> None:
    code, out, _ = unite("data", "prepare", "circles", "--modality", "toy")
    assert code == 0
    assert "circles: 64 kept, 0 rejected" in out


def test_another_programs_weights_become_a_model(unite: Run) -> None:
    sizes = {"width": 8, "depth": 1, "heads": 2, "latent_dim": 4}
    Path("sizes.json").write_text(json.dumps(sizes))
    code, out, _ = unite("convert", "toy-sizes", "sizes.json", "made/model")
    assert code == 0
    assert "wrote made/model\nnext: unite sample made/model --output samples.json" in out
    assert unite("sample", "made/model", "-n", 2, "--steps", 2, "--output", "samples.json")[0] == 0
    code, _, err = unite("convert", "toy-sizes", "sizes.json", "made/model")
    assert (code, "made/model is there already" in err) == (2, True)
    assert "formats\n" in unite("list")[1]
    assert "  toy-sizes  toy\n" in unite("list")[1]


def test_a_conversion_that_cannot_be_is_found_early(unite: Run) -> None:
    Path("sizes.json").write_text("{}")
    with mock.patch("toy_modality.convert", side_effect=AssertionError):
        code, _, err = unite("convert", "toy-size", "sizes.json", "model")
        assert (code, "no format 'toy-size'; did you mean 'toy-sizes'?" in err) == (2, True)
        code, _, err = unite("convert", "toy-sizes", "none.json", "model")
        assert (code, "cannot read none.json: no such file" in err) == (3, True)
        for output in ("sizes.json", "sizes.json/model"):
            code, _, err = unite("convert", "toy-sizes", "sizes.json", output)
            assert (code, "cannot write to output" in err) == (5, True)
    assert [path.name for path in Path().iterdir()] == ["sizes.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "toy-smal"], "no recipe 'toy-smal'; did you mean 'toy-small'?"),
        (["train", "toy-small", "-o", "training.minutes=NaN"], "finite number"),
        (["train", "toy-small", "-o", "training.stps=3"], "did you mean 'steps'?"),
        (["train", "toy-small", "-o", "training.steps=x"], "valid integer"),
        (["data", "prepare", "x", "--modality", "tyo"], "did you mean 'toy'?"),
        (["sample", "--point-count", "3", "--output", "s.json"], "CHECKPOINT comes before"),
    ],
)
def test_a_configuration_error_is_exit_2_and_makes_nothing(
    unite: Run, arguments: list[str], message: str
) -> None:
    code, out, err = unite(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("error: ")
    assert not out
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "s.jsn"], "unknown ending '.jsn'; did you mean '.json'?"),
        (["--output", "s.json", "--point-cuont", "3"], "did you mean '--point-count'?"),
        (["--output", "s.json", "--step", "3"], "did you mean '--steps'?"),
        (["--output", "s.json", "--point-count", "9"], "--point-count: Input should be"),
        (["--output", "s.json", "--point-count"], "--point-count needs a value"),
        (["--output", "s.json", "stray"], "unexpected argument 'stray'"),
        (["--output", "s.json", "--solver", "rk4"], "rk4"),
        (["--output", "s.json", "-n", "0"], "-n"),
        (["--output", "s.json", "--guidance", "nan"], "'nan' is not a finite number"),
        (["--output", "s.json", "--guidance", "x"], "'x' is not a finite number"),
        (["--output", "s.json", "--temperature", "nan"], "'nan' is not a finite number"),
        (["--output", "s.json", "--strength", "-1"], "'-1' is not a finite number of at least 0"),
        (["--output", "s.json", "--rounds", "-1"], "--rounds"),
        (["--output", "s.png", "--trajectory", "3", "--rounds", "1"], "leave --rounds out"),
        (
            ["--output", "s.json", "--strength", "2", "--solver", "heun"],
            "strength 2 is of the solver stochastic: heun draws no fresh noise",
        ),
        (["--output", "s.json", "--guidnace", "2"], "did you mean '--guidance'?"),
        (["--output", "s.json", "--trajectory", "3"], "unknown ending '.json'"),
        (["--output", "s.png", "--trajectory", "1"], "--trajectory"),
        (["--output", "s.json", "--interpolate", "a.json", "b.json"], "unknown ending '.json'"),
        (["--output", "s.png", "--interpolate", "a.txt", "a.txt"], "unknown ending '.txt'"),
        (
            ["--output", "s.png", "--interpolate", "a.txt", "a.txt", "--point-count", "3"],
            "it has no use for --point-count",
        ),
        (
            ["--output", "s.png", "--interpolate", "a.txt", "a.txt", "--guidance", "2"],
            "it has no use for --guidance",
        ),
        (
            ["--output", "s.png", "--interpolate", "a.txt", "a.txt", "--compile"],
            "it has no use for --compile",
        ),
        (["--output", "s.png", "--trajectory", "9", "--steps", "5"], "9 levels need as many steps"),
        (
            ["--output", "s.png", "--trajectory", "3", "--interpolate", "a.txt", "a.txt"],
            "exclude each other",
        ),
        ([], "--output"),
    ],
)
def test_a_bad_sample_option_is_found_before_sampling(
    unite: Run, trained: Path, words: list[str], message: str
) -> None:
    Path("a.txt").touch()
    with mock.patch("unite_core.evaluation.open_on_device", side_effect=AssertionError):
        code, _, err = unite("sample", trained, *words)
    assert code == 2
    assert message in err


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "{run}", "--output", "none/s.json"],
        ["reconstruct", "{run}", "in.json", "--output", "none/s.json"],
        ["sample", "{run}", "--trajectory", "3", "--output", "none/s.png"],
        ["sample", "{run}", "--interpolate", "in.json", "in.json", "--output", "none/s.png"],
        ["evaluate", "{run}", "--output", "none/s.json"],
        ["train", "toy-small", "--output", "in.json/run"],
    ],
)
def test_an_output_that_cannot_be_written_is_exit_5_before_anything_is_computed(
    unite: Run, trained: Path, words: list[str]
) -> None:
    write_points(Path("in.json"), [[1.0, 0.0]])
    with (
        mock.patch("unite_core.evaluation.open_on_device", side_effect=AssertionError),
        mock.patch("unite_core.model.build_model", side_effect=AssertionError),
    ):
        code, _, err = unite(*(word.format(run=trained) for word in words))
    assert code == 5
    assert "error: cannot write" in err


def test_an_existing_file_survives_a_failed_command(unite: Run, trained: Path) -> None:
    Path("s.json").write_text("mine")
    assert unite("sample", trained, "--output", "s.json", "--point-count", "9")[0] == 2
    assert Path("s.json").read_text() == "mine"


@pytest.mark.parametrize("command", ["sample", "reconstruct", "evaluate", "info", "report"])
def test_a_missing_checkpoint_is_exit_5(unite: Run, command: str) -> None:
    write_points(Path("in.json"), [[1.0, 0.0]])
    more = {"sample": ["--output", "s.json"], "reconstruct": ["in.json", "--output", "s.json"]}
    code, _, err = unite(command, "no/such/run", *more.get(command, []))
    assert code == 5
    assert "no model 'no/such/run'" in err


def test_a_missing_file_of_samples_is_exit_3(unite: Run) -> None:
    code, _, err = unite("evaluate", "none.json")
    assert (code, "cannot read none.json: no such file" in err) == (3, True)


def test_a_missing_resume_is_exit_5_and_never_a_fresh_start(unite: Run) -> None:
    code, _, err = unite("train", "toy-small", "--output", "run", "--resume", "run/none")
    assert (code, "is not a checkpoint" in err) == (5, True)
    assert not Path("run/log.jsonl").exists()


def test_truncated_weights_are_exit_5(unite: Run, trained: Path) -> None:
    shutil.copytree(trained / "model", "cut")
    weights = Path("cut/model.safetensors")
    os.truncate(weights, weights.stat().st_size // 2)
    for command in (["sample", "cut", "--output", "s.json"], ["info", "cut"]):
        code, _, err = unite(*command)
        assert (code, "error: cannot" in err) == (5, True)


def test_a_checkpoint_of_a_modality_that_is_not_here_is_exit_5(unite: Run, trained: Path) -> None:
    shutil.copytree(trained / "model", "strange")
    config = Path("strange/config.json")
    config.write_text(config.read_text().replace('"toy"', '"tay"'))
    code, _, err = unite("sample", "strange", "--output", "s.json")
    assert (code, "no modality named 'tay'" in err) == (5, True)


def test_input_of_another_kind_is_exit_2_and_a_missing_one_exit_3(
    unite: Run, trained: Path
) -> None:
    Path("in.txt").write_text("")
    code, _, err = unite("reconstruct", trained, "in.txt", "--output", "s.json")
    assert (code, "unknown ending '.txt'" in err) == (2, True)
    code, _, err = unite("reconstruct", trained, "none.json", "--output", "s.json")
    assert (code, "no such file" in err) == (3, True)


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = [sys.executable, "-c", "from unite_core.cli import main; main()", "list"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_one_process_in_place_of_several_is_refused() -> None:
    """What `accelerate launch --cpu --num_processes 2` gives its only process."""
    lone = {"ACCELERATE_USE_CPU": "true", "MASTER_ADDR": "127.0.0.1"}
    with pytest.raises(ConfigurationError, match="torchrun --nproc_per_node"):
        refuse_lone_process(lone)
    refuse_lone_process(lone | {"WORLD_SIZE": "2"})
    refuse_lone_process({"MASTER_ADDR": "127.0.0.1"})
