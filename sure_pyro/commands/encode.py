"""``sure-pyro encode``: run a system's frozen encoders over a dataset, once, into a run folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from sure_pyro.commands.arguments import names, positive
from sure_pyro.commands.run_folder import RunFolder, add_run, as_settings
from sure_pyro.commands.systems import DATASETS, SYSTEMS
from sure_pyro.data.formats.mmact import MODALITIES, TEST
from sure_pyro.data.store.shard import checksum
from sure_pyro.files import write_text
from sure_pyro.models import encode_store

BESIDE = (".json", ".txt", ".model")  # settings and vocabularies, beside the weights


def add_encode(commands) -> None:
    """Add the command to the parser."""
    p = commands.add_parser(
        "encode", allow_abbrev=False, help="encode a dataset once, into a run folder"
    )
    add_run(p)
    p.add_argument("--system", choices=SYSTEMS, required=True)
    p.add_argument("--dataset", choices=DATASETS, help="by default the one of the system")
    p.add_argument("--data", type=Path, required=True, help="folder of the dataset's files")
    p.add_argument(
        "--checkpoint",
        type=Path,
        help="weights of the system; for transformers the folder of model, tokenizer and image "
        "processor, as `save_pretrained` wrote them; see docs/hugging_face.md",
    )
    p.add_argument("--tiny", action="store_true", help="a tiny system of random weights instead")
    _add_of_systems(p)
    _add_of_datasets(p)
    p.set_defaults(run=run_encode, all_threads=True)


def _add_of_systems(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--variant", default="cross_modal_context", help="of mmml (default: cross_modal_context)"
    )
    p.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="sizes of mmml as JSON, where they are not the published ones; see docs/mmml.md",
    )
    p.add_argument(
        "--num-image-embeds", type=positive, default=1, help="of mmbt, as it was trained (1)"
    )
    p.add_argument("--width", type=positive, default=128, help="of hamlet, as it was trained (128)")
    p.add_argument(
        "--architecture",
        metavar="CLASS",
        help="of transformers: class of the model (default: the one it was saved as)",
    )
    p.add_argument(
        "--tokenizer",
        help="folder or name of that of mmml, mmbt or transformers (default: that of the encoder; "
        "of transformers, that in the model's folder)",
    )
    p.add_argument(
        "--max-length",
        type=positive,
        help="tokens of a text (default: mmml 96, mmbt 128, transformers 128 or as many as the "
        "model takes)",
    )


def _add_of_datasets(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--on-error",
        choices=("error", "skip"),
        default="error",
        help="what to do about rows that can not be read (default: error)",
    )
    p.add_argument(
        "--missing-files",
        choices=("error", "absent"),
        default="error",
        help="what a sound or picture that is not there means: an error, or that its row has none "
        "(mosi, mm-imdb; default: error)",
    )
    p.add_argument(
        "--resample", action="store_true", help="convert sound that is not at 16 kHz (mosi)"
    )
    p.add_argument(
        "--protocol",
        choices=tuple(TEST),
        default="cross_subject",
        help="test part of mmact (default: cross_subject)",
    )
    p.add_argument(
        "--modalities",
        type=names,
        default=MODALITIES,
        help=f"of mmact, separated by commas (default: {','.join(MODALITIES)})",
    )


def run_encode(options: argparse.Namespace) -> int:
    """Run it."""
    system = SYSTEMS[options.system]
    options.dataset = options.dataset or system.dataset
    _check(options)
    options.data = options.data.resolve()
    options.checkpoint = options.checkpoint and options.checkpoint.resolve()
    options.config = options.config and options.config.resolve()
    folder = RunFolder(options.folder)
    _check_same(folder, options)
    data = system.read(options)
    backbone, tokenizer = system.build(options, data)
    folder.record("encode", options)
    folder.save_backbone(backbone)
    write_text(folder.ids_file, json.dumps(data.ids))
    try:
        store = encode_store(
            backbone,
            data,
            folder.store,
            tokenizer=tokenizer,
            settings=_latents_depend_on(as_settings(options)) | {"files": _read_beside(options)},
            progress_bar=not options.quiet,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Run it again to go on.") from None
    if not options.quiet:
        left_out = f" {data.skipped} could not be read." if data.skipped else ""
        print(f"{len(store)} rows are in {folder.store}.{left_out}")
    return 0


def _check(options: argparse.Namespace) -> None:
    wanted = SYSTEMS[options.system].dataset
    if options.dataset != wanted:
        raise ValueError(f"`--system {options.system}` reads {wanted}; got {options.dataset}.")
    _check_checkpoint(options)
    if options.tiny and options.tokenizer:
        raise ValueError("A `--tiny` system reads characters; leave out `--tokenizer`.")
    if options.config and (options.tiny or options.system != "mmml"):
        raise ValueError("`--config` goes with `--system mmml` and a checkpoint; leave it out.")


def _check_checkpoint(options: argparse.Namespace) -> None:
    if options.system == "transformers":
        if options.tiny or options.checkpoint is None or not options.checkpoint.is_dir():
            raise ValueError(
                "`--system transformers` needs `--checkpoint FOLDER`, a model that "
                f"`save_pretrained` wrote, and no `--tiny`; got {options.checkpoint}."
            )
        return
    if options.architecture:
        raise ValueError("`--architecture` goes with `--system transformers`; leave it out.")
    if options.tiny == (options.checkpoint is not None):
        raise ValueError("Give either `--checkpoint FILE` or `--tiny` (random weights).")
    if options.checkpoint is not None and not options.checkpoint.is_file():
        raise ValueError(
            f"There is no file {options.checkpoint}: `--checkpoint` names the weights."
        )


def _check_same(folder: RunFolder, options: argparse.Namespace) -> None:
    """A run has one set of latents: refuse other settings than those it began with."""
    before, now = folder.settings("encode"), as_settings(options)
    differing = [k for k in _latents_depend_on(now) if before and before.get(k) != now[k]]
    if before is not None and differing:
        changes = ", ".join(f"{k} {before.get(k)!r}, now {now[k]!r}" for k in differing)
        raise ValueError(f"{folder.folder} was encoded with {changes}: take another folder.")


def _read_beside(options: argparse.Namespace) -> dict[str, str]:
    """Digests of the files of tokenizers and processors, which the weights say nothing of."""
    folders = [Path(p) for p in (options.checkpoint, options.tokenizer) if p and Path(p).is_dir()]
    files = [f for folder in folders for f in sorted(folder.iterdir()) if f.suffix in BESIDE]
    return {str(file): checksum(file) for file in files}


def _latents_depend_on(settings: dict[str, Any]) -> dict[str, Any]:
    """All but what to do about rows that can not be read, which may be known only by trying."""
    return {name: value for name, value in settings.items() if name != "on_error"}
