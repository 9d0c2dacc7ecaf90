"""`python -m sure_pyro demo`: from a file to a folder with everything a person needs to decide."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from sure_pyro.data import save_masks
from sure_pyro.diagnostics import to_arviz
from sure_pyro.files import replacing, write_text
from sure_pyro.pages import render
from sure_pyro.provenance import provenance
from sure_pyro.report import tables
from sure_pyro.report.conclusions import conclude
from sure_pyro.report.conclusions.answer import conclusions_text
from sure_pyro.report.objectives import objectives_frame
from sure_pyro.report.pictures import pictures
from sure_pyro.report.reading import reading
from sure_pyro.report.sections import Section, picture_section, table_section
from sure_pyro.report.study import Settings, Study, evaluate, fit_models, load_parts
from sure_pyro.report.tidy import metrics_frame, reconstructability_frame

ARVIZ_DRAWS = 1000


def demo(settings: Settings, out: Path, command: str = "sure_pyro demo") -> str:
    """Fit, evaluate and write the report; return its conclusions as text.

    Raises
    ------
    KeyboardInterrupt
        If a training was interrupted by hand; what is fitted is saved under ``out/models``.
    """
    out.mkdir(parents=True, exist_ok=True)
    seconds, start = {}, time.perf_counter()
    parts = load_parts(settings)
    models = fit_models(parts, settings)
    for objective, fitted in models.items():
        if fitted.model.initialized:
            fitted.model.save(out / "models" / objective)
    if any(fitted.history.interrupted for fitted in models.values()):
        raise KeyboardInterrupt(f"What is fitted is in {out / 'models'}.")
    seconds["fit"] = time.perf_counter() - start
    study = evaluate(parts, models, settings)
    seconds["evaluate"] = time.perf_counter() - start - seconds["fit"]
    return write_report(study, out, command, seconds)


def write_report(study: Study, out: Path, command: str, seconds: dict[str, float]) -> str:
    """Write every file of the report; return its conclusions as text."""
    start = time.perf_counter()
    conclusions = conclude(study.evidence)
    drawn = {picture.file: picture.png() for picture in pictures(study)}
    sections = [*_tables(study), *_pictures(study, drawn)]
    _write_data(study, out)
    for old in out.glob("*.png"):
        if old.name not in drawn:
            old.unlink()  # of an earlier run on other data
    for name, picture in drawn.items():
        with replacing(out / name) as path:
            path.write_bytes(picture)
    run = {"command": command, "seed": study.settings.seed, **provenance()}
    seconds["write"] = time.perf_counter() - start
    run |= {"seconds": {name: round(value, 1) for name, value in seconds.items()}}
    footer = _footer(run)
    text = conclusions_text(conclusions)
    page = {
        "title": f"SURE on {study.parts.name}",
        "lead": _lead(study),
        "sections": sections,
        "conclusions": conclusions,
        "footer": footer,
    }
    write_text(out / "index.html", render("report.html", pictures=drawn, **page))
    write_text(out / "summary.md", render("report.md", conclusions_text=text, **page))
    write_text(out / "run.json", json.dumps(run | _what(study), indent=2) + "\n")
    return text


def _write_data(study: Study, out: Path) -> None:
    """Numbers, masks, histories and the ArviZ file."""
    targets, best = study.evidence.targets, study.evidence.best_case
    frames = {
        "metrics.csv": metrics_frame(study.slices),
        "reconstructability.csv": reconstructability_frame(targets, best),
        "objectives.csv": _compared(study).reset_index(),
        "history.csv": pd.concat(
            fitted.history.to_dataframe().assign(objective=name)
            for name, fitted in study.models.items()
        ),
    }
    for name, frame in frames.items():
        with replacing(out / name) as path:
            frame.to_csv(path, index=False)
    save_masks(out / "masks.npz", study.masked.to_save())
    rows = study.masked.mixed()
    model = study.models[study.settings.main].model
    batch = study.masked.batch[rows]
    prediction, seed = model.predict(batch, "taylor"), study.settings.seed
    # Without the latents, which would be most of the file.
    idata = to_arviz(prediction, batch, num_draws=ARVIZ_DRAWS, seed=seed, latents=False)
    with replacing(out / "report.nc") as path:
        idata.to_netcdf(str(path))


def _tables(study: Study) -> Iterator[Section]:
    words = tables.words(study.evidence.random.task)
    found = {
        "task": tables.task_table(study.slices),
        "second": tables.second_table(study.slices),
        "uncertainty": tables.uncertainty_table(study.slices),
        "propagation": tables.propagation_table(study.slices),
        "targets": tables.target_table(study.evidence.targets, study.evidence.best_case),
        "objectives": tables.objective_table(_compared(study)),
    }
    for name, table in found.items():
        if len(table):
            yield table_section(name, table, words)


def _compared(study: Study) -> pd.DataFrame:
    seconds = {name: fitted.seconds for name, fitted in study.models.items()}
    return objectives_frame(study.evidence.objectives, seconds, study.evidence.random.task.score)


def _pictures(study: Study, drawn: Iterable[str]) -> Iterator[Section]:
    verdicts = {name: reading(r) for name, r in study.evidence.targets.items()}
    for name in drawn:
        yield picture_section(name.removesuffix(".png"), verdicts)


def _lead(study: Study) -> list[str]:
    p, groups = study.parts, study.evidence.test_groups
    sizes = {"training": p.train, "validation": p.validation, "test": p.test}
    rows = ", ".join(f"{len(part)} {word}" for word, part in sizes.items())
    return [
        f"{(p.test.task or '').capitalize()} from {len(p.test.modalities)} modalities "
        f"({', '.join(p.test.modalities)}); {rows} rows"
        + (f", {groups} groups in the test part." if groups else "."),
        "A small model was pretrained on complete rows and frozen; SURE was fitted on top with the "
        f"objective '{study.settings.main}'. Every test row is scored under a random mask of every "
        "size; 'random masks' takes all that hide something.",
        *p.notes,
    ]


def _what(study: Study) -> dict:
    s, p = study.settings, study.parts
    return {
        "data": str(s.data) if s.data else "digits",
        "epochs": s.epochs,
        "objectives": list(s.objectives),
        "main_objective": s.main,
        "num_samples": s.num_samples,
        "rows": {"train": len(p.train), "validation": len(p.validation), "test": len(p.test)},
        "notes": list(p.notes),
    }


def _footer(run: dict) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
    seconds = ", ".join(f"{name} {value:.0f} s" for name, value in run["seconds"].items())
    return [
        f"Command: {run['command']}",
        f"Versions: {versions}; commit {run['commit'] or 'unknown'}",
        f"Machine: {run['machine']}; {seconds}",
        "Numbers: metrics.csv, reconstructability.csv, objectives.csv, history.csv; masks: "
        "masks.npz; for ArviZ: report.nc; models: models/.",
    ]
