"""`tssl export`."""

from pathlib import Path
from typing import Any

import click

from tssl.commands.nir import nir_options
from tssl.commands.options import (
    ANY_PATH,
    DATA_OPTION,
    FILE,
    FOLDER,
    TARGETS,
    backend_options,
    bits_of,
    common,
    lava_options,
    out_option,
)
from tssl.terminal import (
    Output,
    show_layers,
    show_loading,
    show_nir,
    show_proof,
    show_reference,
)
from tssl.workflow import tables


@click.command()
@click.argument("run", type=ANY_PATH)
@click.option(
    "--target",
    required=True,
    metavar="PROFILE",
    help="Name or TOML file.",
    shell_complete=TARGETS,
)
@out_option(FILE, "The .net file [RUN/NAME-TARGET.net].")
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Test samples for the accuracies.",
)
@click.option(
    "--proof-samples",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Test samples for the proof.",
)
@click.option("--lava/--no-lava", default=True, help="Prove against Lava too.")
@click.option(
    "--weight-bits",
    multiple=True,
    metavar="[LAYER=]N",
    help="Bits of weights, the sign included [all that the target has].",
)
@click.option("--bundle", type=FOLDER, help="Also write a folder for a machine with the chip.")
@DATA_OPTION
@click.option("--data-dir", type=FOLDER, help="Where to look for data files first.")
@nir_options
@lava_options
@common
def export(output: Output, run: Path, target: str, out: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Turn the network of RUN, a training folder or a .nir file, into a proven .net file.

    \b
    Examples:
      tssl export runs/digits --target loihi2 -o digits.net
      tssl export runs/digits --target loihi2 --weight-bits 4 --weight-bits dense2=8
      tssl export runs/digits --target loihi2 --bundle for-the-board
      tssl export theirs.nir --target loihi2 --dt 0.0001 --rule euler --data x.npy
    """
    from tssl.workflow import export as workflow
    from tssl.workflow.bundle import bundle_exported, check_folder
    from tssl.workflow.nir import NirChoice

    backend = backend_options(options)
    options["weight_bits"] = bits_of(options["weight_bits"])
    folder: Path | None = options.pop("bundle")
    choice = NirChoice(**{key: options.pop(key) for key in ("dt", "rule", "as_nir", "steps")})
    chosen = workflow.ExportOptions(backend=backend, nir=choice, **options)
    if folder is not None:
        check_folder(folder, out)
    with output.bar("proof", chosen.proof_samples) as progress:
        outcome = workflow.export(run, target, out, chosen, progress)
    if folder is not None:
        bundle_exported(outcome, folder, chosen)
        output.say(f"{folder}: read README.md there; python check.py runs and compares")
    if output.as_json:
        output.document(outcome.document())
    else:
        _print(output, outcome, lava=chosen.lava)


def _print(output: Output, outcome: Any, *, lava: bool) -> None:  # noqa: ANN401
    """Write what an ``ExportOutcome`` says."""
    document = outcome.document()
    if outcome.nir is not None:
        show_nir(output, document["nir"])
    show_layers(output, document["layers"])
    output.tables([tables.cores(outcome.profile.name, outcome.mapping)])
    show_proof(output, document["proof"])
    if document["proof"]["verdict"] != "PASS":
        cure = "run `tssl lava install`, then" if lava else "when wanted, run"
        output.line(f"Not compared with Lava: {cure} `tssl verify` on the file")
    if outcome.nir is not None:
        show_reference(output, document["nir"])
    show_loading(output, document["lava_dl"])
    if outcome.silent:
        output.line(
            f"Silent on all training samples that were tried: {', '.join(outcome.silent)}; other "
            "branches carry the network"
        )
    if outcome.nir is not None:
        output.line(f"{outcome.path}: proven on {outcome.nir.samples}")
        return
    if outcome.there is not None:
        output.tables([tables.accuracies(outcome.accuracy)])
    output.line(f"{outcome.path}: {outcome.rates} ({outcome.samples} test samples)")
