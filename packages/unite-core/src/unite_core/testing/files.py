"""Checks of samples in a user's hands: files, pictures, the report, figures."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from unite_core.errors import StorageError, UniteError
from unite_core.model import UniteModel
from unite_core.plugins import Plugin
from unite_core.testing.setting import Setting
from unite_core.types import Batch, Story

PNG = b"\x89PNG\r\n\x1a\n"
RUBBISH = b"\x00\xff rubbish \xfe\n" * 20
ELSEWHERE = re.compile(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""")
"""What a page loads from the network."""


class FileChecks(Setting):
    """What leaves the model, and comes back."""

    def test_originals_are_taken_back(self, model: UniteModel, batch: Batch) -> None:
        modality = model.modality
        originals = modality.originals(batch)
        accepted, refused = modality.accept(originals)
        assert len(accepted) == len(originals), (
            f"`accept` refuses training samples: {dict(refused)}"
        )
        back = modality.originals(modality.collate(accepted))
        self.require_same(model, originals, back, "look at `collate` and `originals`")

    def test_archives_keep_samples_whole(
        self, plugin: Plugin, model: UniteModel, batch: Batch, tmp_path: Path
    ) -> None:
        originals = model.modality.originals(batch)
        for ending in plugin.archives:
            assert ending in plugin.suffixes and ending in plugin.writes, (
                f"{ending} is among Plugin(archives=...), so it must be written and read"
            )
            path = tmp_path / f"samples{ending}"
            model.modality.write(originals, path)
            back, rejected = model.modality.read(path)
            assert len(back) == len(originals), (
                f"{len(originals)} samples written as {ending}, {len(back)} read; rejected: "
                f"{dict(rejected)}"
            )
            self.require_same(model, originals, back, f"look at `write` and `read` of {ending}")

    def require_same(
        self, model: UniteModel, before: list[Any], after: list[Any], hint: str
    ) -> None:
        """Fails where samples differ by more than rounding."""
        errors = model.modality.errors(before, after)
        assert max(errors) <= self.same, (
            f"samples come back changed, errors {errors} (at most {self.same} is the same): {hint}"
        )

    def test_generated_samples_can_be_written(
        self, plugin: Plugin, model: UniteModel, tmp_path: Path
    ) -> None:
        samples = model.generate(3, steps=2)
        assert len(samples) == 3, f"`finish` makes {len(samples)} samples of a layout of 3"
        for ending in plugin.writes:
            path = tmp_path / f"samples{ending}"
            model.modality.write(samples, path)
            assert path.is_file() and path.stat().st_size, f"`write` leaves nothing in {path.name}"

    def test_a_place_that_cannot_be_written_is_named(
        self, plugin: Plugin, model: UniteModel, batch: Batch, tmp_path: Path
    ) -> None:
        samples = model.modality.originals(batch)
        for ending in plugin.writes:
            path = tmp_path / "missing" / f"samples{ending}"
            try:
                model.modality.write(samples, path)
            except StorageError as error:
                assert "missing" in str(error), f"the message does not name the path: {error}"
            except OSError as error:
                pytest.fail(f"`write` of {ending} raises {error!r}: make it a StorageError")
            else:
                pytest.fail(f"`write` of {ending} says nothing of a directory that is not there")

    def test_files_of_something_else_are_named(self, plugin: Plugin, tmp_path: Path) -> None:
        for ending in plugin.suffixes:
            path = tmp_path / f"rubbish{ending}"
            path.write_bytes(RUBBISH)
            try:
                samples, rejected = plugin.load().read(path)
            except UniteError as error:
                assert path.name in str(error), f"the message does not name the file: {error}"
            except Exception as error:
                pytest.fail(f"`read` of a broken {ending} raises {error!r}: make it a DataError")
            else:
                assert not samples and rejected, (
                    f"`read` of a broken {ending} gives {len(samples)} samples and the reasons "
                    f"{dict(rejected)}: count what cannot be used"
                )

    def test_pictures_are_png(self, model: UniteModel, batch: Batch, tmp_path: Path) -> None:
        for columns in (None, 2):
            path = tmp_path / f"picture-{columns}.png"
            model.modality.preview(model.modality.originals(batch), path, columns)
            assert path.read_bytes().startswith(PNG), "`preview` writes no PNG"

    def test_the_report_needs_no_network(
        self, model: UniteModel, batch: Batch, tmp_path: Path
    ) -> None:
        originals, made = model.modality.originals(batch), model.reconstruct(batch)
        story = Story(
            title="Contract",
            command="unite train",
            scores={"samples": {"figure": 1.0}, "data": {"figure": 2.0}},
            reconstruction={"samples": {"figure": 3.0}},
            samples=originals,
            pairs=list(zip(originals, made, strict=True)),
            log=[{"step": step, "loss": 1.0 / step} for step in (1, 2, 3)],
            versions={"unite-core": "0"},
            statistics=model.modality.statistics,
        )
        written = model.modality.report(story, tmp_path)
        missing = [str(path) for path in written if not path.is_file()]
        assert not missing, f"`report` names files that are not there: {', '.join(missing)}"
        assert tmp_path / "report.html" in written, "`report` writes no report.html"
        page = (tmp_path / "report.html").read_text()
        found = ELSEWHERE.search(page)
        assert not found, f"report.html loads from the network: {page[found.start() :][:80]!r}"

    def test_figures_stand_beside_the_datas(self, model: UniteModel, batch: Batch) -> None:
        modality, originals = model.modality, model.modality.originals(batch)
        rows = modality.score(modality.config, originals, None)
        assert {"samples", "data"} <= rows.keys(), (
            f'`score` gives rows {sorted(rows)}: "samples" and "data" are needed'
        )
        made = model.reconstruct(batch)
        near = modality.score_reconstruction(modality.config, originals, made)
        assert near, "`score_reconstruction` gives no metric"
        for method, figures in (("score", rows), ("score_reconstruction", near)):
            try:
                json.dumps(figures, allow_nan=False)
            except (TypeError, ValueError) as error:
                pytest.fail(
                    f"`{method}` gives figures that are not JSON, {error}: make them finite "
                    "numbers of Python, float(...), and None where there is nothing to measure"
                )
