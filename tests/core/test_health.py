"""What a log is told to be: each sign in health and in sickness."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from unite_core.config import ObjectiveConfig, TrainingConfig
from unite_core.health import (
    Finding,
    Log,
    Shipped,
    State,
    advised,
    balance,
    beside_shipped,
    clipping,
    finite_numbers,
    flow,
    judge,
    judge_lesser,
    parts,
    read_health,
    reconstruction,
    waiting,
)

Values = Callable[[float], float]


def course(count: int = 40, **values: Values) -> list[dict[str, float]]:
    """A healthy log, but for `values`: functions of the share of the run that is over."""
    healthy: dict[str, Values] = {
        "reconstruction": lambda s: 1.0 - 0.9 * s,
        "flow": lambda s: 1.0 + s,
        "gradient_norm": lambda s: 6.0,
        "learning_rate": lambda s: 1.0 - s,
        "clipped": lambda s: 0.9,
        "waiting_for_data": lambda s: 0.01,
    }
    rows = []
    for number in range(1, count + 1):
        row = {name: value(number / count) for name, value in (healthy | values).items()}
        rows.append({"step": number, "loss": row["reconstruction"] + row["flow"], **row})
    return rows


def settings(**changes: Any) -> TrainingConfig:
    return TrainingConfig(**({"steps": 40, "batch_size": 8} | changes))


def test_a_finding_is_a_line_with_advice_for_the_sick_alone() -> None:
    assert str(advised("ill", "clipping", "all", "slower")) == "ill: clipping: all: slower"
    assert str(advised("ok", "clipping", "none", "slower")) == "ok: clipping: none"


def test_a_value_is_judged_by_two_limits() -> None:
    assert [judge(v, (1.0, 2.0)) for v in (0.9, 1.0, 2.0)] == ["ok", "watch", "ill"]
    assert [judge_lesser(v) for v in (0.5, 0.995, 0.0001)] == ["ok", "watch", "ill"]


def test_losses_that_vanish_are_divided_by() -> None:
    zero = course(reconstruction=lambda s: 0.0, flow=lambda s: 0.0)
    findings = read_health(zero, ObjectiveConfig(), settings(), [], Shipped("none", zero, ()))
    assert {f.state for f in findings} <= {"ok", "ill"}


def test_parts_have_the_medians_of_a_tenth_of_the_log_each() -> None:
    log = [{"step": i, "a": float(i)} for i in range(30)] + [{"step": 30}]
    assert parts(log, "a") == [3.0 * part + 1 for part in range(10)]


def test_a_healthy_log_is_called_healthy() -> None:
    findings = read_health(course(), ObjectiveConfig(), settings(), [], None)
    assert {f.about: f.state for f in findings} == {
        "finite numbers": "ok",
        "reconstruction": "ok",
        "flow": "ok",
        "beside shipped weights": "unknown",
        "balance of losses": "ok",
        "clipping": "ok",
        "waiting for data": "ok",
    }


def test_a_short_log_is_not_judged() -> None:
    findings = read_health(course(9), ObjectiveConfig(), settings(), [], None)
    assert [(f.about, f.state) for f in findings] == [("finite numbers", "ok"), ("log", "unknown")]
    assert "9 lines so far" in findings[1].found
    assert read_health([], ObjectiveConfig(), settings(), [], None)[1].state == "unknown"


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"reconstruction": lambda s: 1.0 - 0.4 * s}, "watch"),
        ({"reconstruction": lambda s: 1.0 + s}, "ill"),
        ({"reconstruction": lambda s: 1.0 if s < 0.1 else 0.1 if s < 0.8 else 0.16}, "watch"),
        ({"reconstruction": lambda s: 1.0 if s < 0.1 else 0.1 if s < 0.8 else 0.3}, "ill"),
    ],
)
def test_reconstruction_must_fall_and_stay_down(values: dict[str, Values], state: State) -> None:
    assert reconstruction(course(**values)).state == state


@pytest.mark.parametrize(
    ("end", "after_restart", "otherwise"), [(0.3, "ok", "watch"), (0.45, "watch", "ill")]
)
def test_after_a_restart_of_the_schedule_reconstruction_may_rise(
    end: float, after_restart: State, otherwise: State
) -> None:
    def state(rate: Values) -> State:
        log = course(reconstruction=lambda s: 1.0 - 1.1 * s if s < 0.8 else end, learning_rate=rate)
        return reconstruction(log).state

    assert state(lambda s: 1.0 - s if s < 0.8 else 1.0) == after_restart
    assert state(lambda s: 1.0 - s) == otherwise


def test_a_rising_flow_loss_is_never_ill() -> None:
    found = flow(course(flow=lambda s: 1000.0**s))
    assert found.state == "ok"
    assert "samples may improve" in found.found


@pytest.mark.parametrize(("last", "state"), [(20, "ill"), (40, "watch")])
def test_refused_updates_are_named(last: int, state: State) -> None:
    found = finite_numbers(course(last), [{"step": 12}, {"step": 20}])
    assert found.state == state
    assert "2, last at 20" in found.found
    assert finite_numbers([], [{"step": 0}]).state == "ill"


@pytest.mark.parametrize(
    ("flow_loss", "state", "advice"),
    [(1e4, "ill", "lower objective.flow_weight"), (1e-6, "ill", "collapsed"), (1.0, "ok", "")],
)
def test_a_loss_that_drowns_the_other_is_named(flow_loss: float, state: State, advice: str) -> None:
    log = course(flow=lambda s: flow_loss)
    found = balance(log, ObjectiveConfig())
    assert found.state == state
    assert advice in found.advice


def test_the_flows_share_is_of_the_weighted_loss() -> None:
    log = [{"step": 1, "loss": 4.0, "flow": 6.0}]
    assert "75.00% of the loss is flow" in balance(log, ObjectiveConfig(flow_weight=0.5)).found


@pytest.mark.parametrize(("norm", "state"), [(6.0, "ok"), (60.0, "watch"), (600.0, "ill")])
def test_clipping_is_judged_by_how_much_is_cut_off(norm: float, state: State) -> None:
    found = clipping(course(gradient_norm=lambda s: norm), settings(clip=3.0))
    assert found.state == state
    assert f"90% of updates in the later half, where the gradient's norm is {norm / 3:.2g}" in (
        found.found
    )


def test_without_a_count_clipped_updates_are_those_of_the_log() -> None:
    log = [{k: v for k, v in row.items() if k != "clipped"} for row in course()]
    assert "100% of logged updates" in clipping(log, settings(clip=3.0)).found
    assert clipping(log, settings(clip=None)).found == "off; the gradient's norm is 6"


@pytest.mark.parametrize(("share", "state"), [(0.05, "ok"), (0.2, "watch"), (0.7, "ill")])
def test_waiting_for_data_is_named(share: float, state: State) -> None:
    found = waiting(course(waiting_for_data=lambda s: share), settings(workers=3))
    assert found.state == state
    assert ("more training.workers than 3" in found.advice) == (state != "ok")
    assert waiting([{"step": 1}], settings()).state == "unknown"


def shipped(log: Log, *differing: str) -> Shipped:
    return Shipped("small", log, differing)


@pytest.mark.parametrize(("factor", "state"), [(1.0, "ok"), (3.0, "watch"), (9.0, "ill")])
def test_reconstruction_is_set_beside_a_shipped_run_at_the_same_step(
    factor: float, state: State
) -> None:
    theirs = shipped(course(80, reconstruction=lambda s: 1.0 if s <= 0.5 else 0.01))
    found = beside_shipped(course(40, reconstruction=lambda s: factor), theirs)
    assert found.state == state
    assert f"{factor:.2g} times that of small" in found.found
    assert "at step 40" in found.found


def test_a_longer_run_is_set_beside_the_shipped_ones_end() -> None:
    theirs = shipped(course(20, reconstruction=lambda s: 1.0 if s < 0.8 else 0.5))
    found = beside_shipped(course(80, reconstruction=lambda s: 1.0), theirs)
    assert "2 times that of small (0.5 at 20)" in found.found


def test_a_run_of_another_kind_is_not_compared() -> None:
    found: Sequence[Finding] = [
        beside_shipped(course(), shipped(course(), "data.layout")),
        beside_shipped(course(), None),
    ]
    assert [f.state for f in found] == ["unknown", "unknown"]
    assert "differs in data.layout" in found[0].found
