"""What is said of healthy and of sick runs, each of them trained."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import toy_plugin
import yaml
from core.test_cli import Run, call, unite  # noqa: F401 (a fixture)
from toy_modality import ToyModality
from unite_core import checkpoint
from unite_core.doctor import (
    Row,
    nearest_shipped,
    read_lines,
    read_run_config,
    settings,
    shortened,
    whole,
)
from unite_core.errors import ConfigurationError, DataError

RATE = 3e-3
HEALTHY = {
    "training.steps": 150,
    "training.checkpoint_steps": 75,
    "training.preview_steps": "null",
    "training.batch_size": 32,
    "training.warmup_steps": 10,
    "objective.flow_weight": 0.1,
    "optimizer": f"{{name: adamw, learning_rate: {RATE}}}",
}


def train(output: Path, changes: Mapping[str, Any]) -> int:
    """The exit code of a run of the toy recipe."""
    values = HEALTHY | changes
    overrides = [word for key, value in values.items() for word in ("-o", f"{key}={value}")]
    return call(["train", "toy-small", "--output", output, *overrides])


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned to reconstruct; copy it to change it."""
    output = tmp_path_factory.mktemp("runs") / "healthy"
    assert train(output, {}) == 0
    return output


@pytest.fixture
def copy(healthy: Path, tmp_path: Path) -> Path:
    return shutil.copytree(healthy, tmp_path / "copy")


@pytest.fixture
def signs(unite: Run) -> Callable[[Path], dict[str, str]]:  # noqa: F811 (the fixture)
    """What the doctor says of a run, by what it is about."""

    def ask(run: Path) -> dict[str, str]:
        code, out, err = unite("doctor", run)
        assert code == 0, err
        lines = [line for line in out.splitlines() if not line.startswith(("wrote", "next"))]
        return {line.split(": ")[1]: line for line in lines}

    return ask


def states(lines: Mapping[str, str]) -> dict[str, str]:
    return {about: line.split(":")[0] for about, line in lines.items()}


def test_a_healthy_run_is_called_healthy(copy: Path, signs: Callable[..., Any]) -> None:
    lines = signs(copy)
    assert "is 0.00% away" not in lines["average"], "the average is compared with the weights"
    found = states(lines)
    assert found.pop("beside shipped weights") == "unknown"
    assert found == dict.fromkeys(
        (
            "finite numbers",
            "reconstruction",
            "flow",
            "balance of losses",
            "clipping",
            "waiting for data",
            "latents",
            "latent dimensions",
            "nearly-identity latents",
            "balance of gradients",
            "average",
        ),
        "ok",
    )


def test_a_flow_weight_that_drowns_reconstruction_is_named(
    tmp_path: Path, signs: Callable[..., Any]
) -> None:
    assert train(tmp_path / "run", {"objective.flow_weight": 1e6, "training.steps": 100}) == 0
    found = signs(tmp_path / "run")
    sick = ("balance of gradients", "latents", "clipping")
    assert {about: states(found)[about] for about in sick} == dict.fromkeys(sick, "ill")
    assert "ok" not in {states(found)["reconstruction"], states(found)["balance of losses"]}
    assert "they collapse" in found["latents"]
    assert "lower objective.flow_weight" in found["balance of losses"]


def test_a_learning_rate_a_hundred_times_too_high_is_named(
    tmp_path: Path, signs: Callable[..., Any]
) -> None:
    rate = {"optimizer": f"{{name: adamw, learning_rate: {100 * RATE}}}"}
    train(tmp_path / "run", rate)
    found = signs(tmp_path / "run")
    sick = [line for line in found.values() if line.startswith("ill")]
    assert any("optimizer.learning_rate" in line for line in sick)
    assert states(found)["latents"] == "ill"


def test_a_run_that_ended_in_no_number_is_named(tmp_path: Path, signs: Callable[..., Any]) -> None:
    rate = {"optimizer": "{name: adamw, learning_rate: 1e30}"}
    assert train(tmp_path / "run", rate) == 4
    found = signs(tmp_path / "run")
    assert found["finite numbers"].startswith("ill: finite numbers: updates refused")
    assert "nonfinite.jsonl" in found["finite numbers"]


def test_an_average_that_was_never_updated_is_named(copy: Path, signs: Callable[..., Any]) -> None:
    newest = checkpoint.latest(copy / "checkpoints")
    assert newest is not None
    state = newest[1]
    state["ema"]["n_averaged"].fill_(1)
    checkpoint.save(copy / "checkpoints", 150, state, 2)
    assert "only 1 of 150 updates reached it" in signs(copy)["average"]


def test_weights_are_not_judged_before_they_are_warm(copy: Path, signs: Callable[..., Any]) -> None:
    """Latents of random weights look like those of a collapse."""
    log = copy / "log.jsonl"
    first = [line for line in log.read_text().splitlines(True) if json.loads(line)["step"] < 10]
    log.write_text("".join(first))
    found = states(signs(copy))
    assert found["weights"] == "unknown"
    assert "latents" not in found


def test_a_run_without_weights_is_judged_by_its_log(copy: Path, signs: Callable[..., Any]) -> None:
    shutil.rmtree(copy / "checkpoints")
    assert states(signs(copy))["average"] == "unknown"
    shutil.rmtree(copy / "model")
    found = signs(copy)
    assert found["weights"].endswith("the first are at step 75: ask again then")
    assert states(found)["reconstruction"] == "ok"


@pytest.mark.parametrize("error", [ConfigurationError, DataError])
def test_a_run_whose_data_are_gone_is_judged_by_its_log(
    copy: Path,
    signs: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:
    def dataset(self: ToyModality, split: str) -> None:
        raise error(f"no {split} split in /gone")

    monkeypatch.setattr(ToyModality, "dataset", dataset)
    found = signs(copy)
    assert found["held-out samples"] == "unknown: held-out samples: no validation split in /gone"
    assert states(found)["reconstruction"] == "ok"


def test_damaged_weights_and_checkpoints_are_ill(copy: Path, signs: Callable[..., Any]) -> None:
    for path in (copy / "checkpoints").glob("*/model.safetensors"):
        path.write_bytes(b"x")
    assert states(signs(copy))["checkpoints"] == "ill"
    (copy / "model" / "model.safetensors").write_bytes(b"x")
    assert states(signs(copy))["weights"] == "ill"


def test_lines_cut_short_or_without_a_finite_value_are_left_out(
    copy: Path, signs: Callable[..., Any]
) -> None:
    with (copy / "log.jsonl").open("a") as file:
        file.write('{"step": 152, "loss": NaN, "reconstruction": NaN}\n')
        file.write('{"step": 154, "lo')
    found = signs(copy)
    assert found["log"].startswith("watch: log: its last line is cut short")
    assert states(found)["reconstruction"] == "ok"


@pytest.mark.parametrize(
    ("row", "expected"),
    [({"loss": 1.0}, True), ({"loss": float("inf")}, False), ({"loss": "1"}, False)],
)
def test_a_whole_line_has_numbers_throughout(row: Row, expected: bool) -> None:
    names = ("step", "reconstruction", "flow", "gradient_norm", "learning_rate")
    assert whole(dict.fromkeys(names, 1) | row) is expected
    assert not whole(row)


def test_a_broken_line_in_the_middle_is_no_log(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for broken in ("{", "3", '{"loss": 1}'):
        path.write_text(f'{{"step": 1}}\n{broken}\n{{"step": 2}}\n')
        with pytest.raises(DataError, match=r"line 2 of .* is no line of a log"):
            read_lines(path)


class Loads(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {"src", "href", "xlink:href", "data"}
        self.found += [value or "" for name, value in attrs if name in named]


def test_the_page_has_the_findings_and_pictures_and_fetches_nothing(
    copy: Path,
    unite: Run,  # noqa: F811 (the fixture)
) -> None:
    code, out, _ = unite("doctor", copy, "--output", "page.html", "-n", 16)
    assert (code, "wrote page.html\nnext: unite report" in out) == (0, True)
    page = Path("page.html").read_text()
    assert page.count("<svg") == 2
    assert '<tr class="ok"><td>ok</td><td>reconstruction</td>' in page
    loads = Loads()
    loads.feed(page)
    assert all(value.startswith("#") for value in loads.found)
    assert not (copy / "doctor.html").exists()


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        (lambda run: shutil.rmtree(run), 2, "no run"),
        (lambda run: (run / "log.jsonl").unlink(), 3, "has no log.jsonl"),
        (lambda run: (run / "log.jsonl").write_text("\n\n{}\n"), 3, "is no line of a log"),
        (lambda run: (run / "config.yaml").unlink(), 2, "cannot read"),
        (lambda run: (run / "config.yaml").write_text("modality: [\n"), 2, "cannot read"),
        (lambda run: (run / "config.yaml").write_text("mode: toy\n"), 2, "unknown key mode"),
    ],
)
def test_what_is_no_run_is_refused(
    copy: Path,
    unite: Run,  # noqa: F811 (the fixture)
    spoil: Callable[[Path], object],
    code: int,
    message: str,
) -> None:
    spoil(copy)
    found, out, err = unite("doctor", copy, "--output", "page.html")
    assert (found, message in err) == (code, True), err
    assert not out


def test_nested_settings_are_compared_by_their_leaves() -> None:
    assert settings({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {
        "a.b": 1,
        "a.c.d": [2],
        "e": None,
    }
    assert shortened(["a", "b", "c"]) == ["a", "b", "c"]
    assert shortened(["a", "b", "c", "d", "e"]) == ["a", "b", "c", "2 more settings"]


def test_the_run_is_set_beside_the_shipped_one_that_is_most_like_it(
    copy: Path, tmp_path: Path, signs: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights"
    for name, width in (("wide", 32), ("like", 16)):
        shutil.copytree(copy / "model", weights / name)
        path = weights / name / "config.json"
        config = json.loads(path.read_text())
        config["encoder"]["width"] = width
        path.write_text(json.dumps(config))
        shutil.copy(copy / "log.jsonl", weights / name)
    monkeypatch.setattr(toy_plugin, "plugin", replace(toy_plugin.plugin, weights=weights))
    found = signs(copy)["beside shipped weights"]
    assert found.startswith("ok: beside shipped weights: reconstruction loss")
    assert "1 times that of like" in found
    assert "beside like in grey" in (copy / "doctor.html").read_text()
    shutil.rmtree(weights / "like")
    other = nearest_shipped(read_run_config(copy / "config.yaml"))
    assert other is not None
    assert (other.name, other.differing) == ("wide", ["encoder.width"])


def test_a_runs_own_configuration_is_read_as_it_was_written(copy: Path) -> None:
    config = read_run_config(copy / "config.yaml")
    assert config.model_dump(mode="json") == yaml.safe_load((copy / "config.yaml").read_text())
    values = yaml.safe_load((copy / "config.yaml").read_text()) | {"data": {"longst": 3}}
    (copy / "config.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigurationError, match=r"data\.longst; did you mean 'longest'"):
        read_run_config(copy / "config.yaml")
