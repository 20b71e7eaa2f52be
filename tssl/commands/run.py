"""`tssl run`."""

from pathlib import Path
from typing import Any

import click

from tssl.commands.options import (
    BACKENDS,
    FILE,
    FOLDER,
    NET,
    backend_options,
    common,
    input_options,
    jobs_of,
    lava_options,
    out_option,
    recorded_of,
)
from tssl.terminal import Output


@click.command()
@click.argument("net", type=NET)
@click.option(
    "--backend",
    required=True,
    metavar="NAME",
    shell_complete=BACKENDS,
    help="engine (ours), sim (Lava's CPU simulator) or loihi2 (a board).",
)
@out_option(FOLDER, "Folder of the result [NET-BACKEND beside NET].")
@click.option(
    "--record",
    "record",
    multiple=True,
    metavar="LAYER[:WHAT]",
    help="Keep what a layer (or all) does at every step: spikes, current, potential [all three].",
)
@input_options
@click.option(
    "--labels",
    type=FILE,
    help="Classes of the samples of --input, in a .npy file, or y in a .npz file.",
)
@lava_options
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Share the samples: tcp://HOST:PORT of a Dask scheduler, or local:N processes here.",
)
@click.option(
    "--slurm",
    metavar="KEY=VALUE,...",
    help="As jobs of SLURM: nodes, partition, account, qos, constraint, time, cpus, mem.",
)
@common
def run(
    output: Output,
    net: Path,
    backend: str,
    out: Path | None,
    record: tuple[str, ...],
    cluster: str | None,
    slurm: str | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Run NET on our engine, Lava's CPU simulator (sim) or a Loihi 2 board.

    Without --data or --input the network's own data set is taken.

    \b
    Examples:
      tssl run digits.net --backend sim --data digits --samples 100
      tssl run any.net --backend engine --input spikes.npy --labels classes.npy --out result
      tssl run digits.net --backend sim --samples 5 --record dense1:potential
      tssl run digits.net --backend sim --cluster tcp://node1:8786
      tssl run digits.net --backend sim --slurm partition=short,nodes=8,time=30
    """
    from tssl.clusters import chosen_cluster
    from tssl.reporting import show_result
    from tssl.workflow import run as workflow
    from tssl.workflow.inputs import InputChoice

    lava = backend_options(options)
    choice = InputChoice(on_download=output.download, on_warning=output.warn, **options)
    crew = chosen_cluster(cluster, None if slurm is None else jobs_of(slurm))
    outcome = workflow.run(net, backend, choice, out, lava, output.bar, recorded_of(record), crew)
    if output.as_json:
        output.document(outcome.document())
        return
    show_result(outcome.result, output.results)
    output.tables(outcome.comparison)
    output.line(f"{outcome.directory}: result.npz, result.json, network.net")
