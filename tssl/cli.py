"""The ``tssl`` command: parse, call one function of the workflow, print.

Rooms are imported inside the commands, so that ``tssl --help`` answers at once.
"""

import errno
import io
import os
import shlex
import sys
import traceback
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tssl.errors import BackendError, TsslError
from tssl.options import (
    ANY_PATH,
    BACKENDS,
    DATA_SETS,
    FILE,
    FOLDER,
    LAVA_PYTHON,
    PROFILES,
    PROFILES_OR_ALL,
    RECIPES,
    backend_options,
    bits_of,
    common,
    input_options,
    lava_options,
    settings_of,
)
from tssl.terminal import Output, TrainingBar, show_layers, show_loading, show_proof
from tssl.version import __version__

INTERRUPTED = 130
_REFUSED_PATHS = {
    errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EROFS,
}  # fmt: skip
"""What the system says to a path that a user may give; anything else would be a bug."""

_MOST_IN_FULL = 2


def main() -> None:
    """Run the command and exit with the contract's status."""
    if sys.stdout is None:  # closed by the caller
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as we live
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # units have signs that not every terminal has
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run the command and return its exit status; a user's mistake is one line on stderr."""
    try:
        status = cli.main(args=arguments or ["--help"], prog_name="tssl", standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # click and rich exit so when the reader has gone
        _silence_stdout()
        return 0
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", INTERRUPTED, arguments)
    except (TsslError, click.ClickException, MemoryError, ModuleNotFoundError, OSError) as error:
        return _fail(*_explained(error), arguments)
    return status or 0  # what a command gave to ``click.exceptions.Exit``


def _explained(error: Exception) -> tuple[str, int]:
    """Return message and exit status of an error that a user can cause; raise any other."""
    if isinstance(error, TsslError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        asked = context.command_path if context else "tssl"
        return f"{error.format_message()} (see `{asked} --help`)", error.exit_code
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}; free some, or ask for less at a time", 2
    if isinstance(error, ModuleNotFoundError):
        name = error.name or "tssl"
        if name in ("tssl", *sys.stdlib_module_names) or "." in name:
            raise error  # not a package that could be installed
        return f"{name} is not installed; pip install {name}", BackendError.exit_code
    if isinstance(error, OSError) and error.filename is None:  # those of files are TsslErrors
        _silence_stdout()
        return f"the output cannot be written: {error.strerror}", 2
    if isinstance(error, OSError) and error.errno in _REFUSED_PATHS:
        return f"{error.filename}: cannot be used: {error.strerror}", 2
    raise error


def _silence_stdout() -> None:
    """Spare Python's second complaint when it closes what cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, status: int, arguments: list[str]) -> int:
    if "--debug" in arguments:
        click.echo(traceback.format_exc(), err=True)
    one_line = " ".join(line.strip() for line in message.splitlines())
    click.echo(f"tssl: error: {one_line}", err=True)
    return status


@click.group(
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="tssl")
def cli() -> None:
    """Train spiking networks with TSSL-BP, export them for Loihi, prove and price them.

    \b
    Example, two minutes, no download (`tssl demo` does it for you):
      tssl train digits
      tssl export runs/digits --target loihi2
      tssl run runs/digits/digits-loihi2.net --backend sim --data digits --out runs/digits/sim
      tssl report runs/digits/sim --profile loihi2 --html report.html
    """


@cli.command()
@click.option("--out", type=FOLDER, default="runs/demo", show_default=True, help="Folder.")
@common
def demo(output: Output, out: Path) -> None:
    """Go the whole way on bundled data: train, export, run, verify, report.

    Each step is a command that is shown before it runs. Lava takes part where it is installed.

    \b
    Example:
      tssl demo --out runs/demo
    """
    from tssl.lava_runtime.lava_sim import check

    problem = check(os.environ.get(LAVA_PYTHON))
    if problem is not None:
        output.say(f"without Lava, on the engine (`tssl lava install` changes that): {problem}")
    for step in _demo_steps(out, with_lava=problem is None):
        output.say(f"$ tssl {shlex.join(step)}")
        flags = ["--quiet"] if output.quiet else []
        with redirect_stdout(io.StringIO()) if output.as_json else nullcontext():
            status = cli.main(args=[*step, *flags], prog_name="tssl", standalone_mode=False)
        if status:
            raise click.exceptions.Exit(status)
    if output.as_json:
        output.document({"schema_version": 1, "directory": str(out), "lava": problem is None})
    else:
        output.line(f"Everything is in {out}; open {out / 'report.html'} in a browser.")


def _demo_steps(out: Path, *, with_lava: bool) -> list[list[str]]:
    """Return the arguments of each command of the demonstration."""
    net, result = str(out / "digits.net"), str(out / "result")
    backend, asks = ("sim", "--lava") if with_lava else ("engine", "--no-lava")
    steps = [
        ["train", "digits", "--out", str(out)],
        ["export", str(out), "--target", "loihi2", "-o", net, asks],
        ["run", net, "--backend", backend, "--out", result],
        ["verify", net, "--samples", "50"],
        ["report", result, "--profile", "loihi2", "--html", str(out / "report.html")],
    ]
    return [step for step in steps if with_lava or step[0] != "verify"]


@cli.command()
@click.argument("recipe", required=False, shell_complete=RECIPES)
@click.option("--data-dir", type=FOLDER, help="Where to look for data files first.")
@click.option("--epochs", type=int, help="Same as --set training.epochs=N.")
@click.option("--batch-size", type=int, help="Same as --set training.batch_size=N.")
@click.option("--lr", type=float, help="Same as --set training.lr=X.")
@click.option("--seed", type=int, help="Same as --set training.seed=N.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the recipe.")
@click.option("--out", type=FOLDER, help="Folder of the run [runs/NAME].")
@click.option("--resume", type=FOLDER, help="Go on with the run in this folder.")
@click.option("--from", "origin", type=ANY_PATH, help="Start from the weights of this run.")
@click.option(
    "--target",
    metavar="PROFILE",
    help="Whose integers forward=chip computes with, beside --from [loihi2].",
    shell_complete=PROFILES,
)
@click.option("--tensorboard", is_flag=True, help="Write RUN/tensorboard too.")
@common
def train(output: Output, recipe: str | None, resume: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Train the network of RECIPE: a name from `tssl recipes` or a TOML file.

    \b
    Examples:
      tssl train digits
      tssl train fashion-mnist-mlp --epochs 5 --set encoding.resolution=15
      tssl train --resume runs/digits
      tssl train --from runs/digits --set forward=chip --epochs 3
      torchrun --nproc-per-node 2 -m tssl train fashion-mnist-cnn
    """
    origin: Path | None = options["origin"]
    _check_usage(recipe, resume, origin, options)
    from tssl.trainer.parallel import is_first_process
    from tssl.workflow import train as workflow

    if not is_first_process():  # torchrun started several; one talks
        output = Output(as_json=False, quiet=True)
    environment = workflow.Environment(
        data_dir=options["data_dir"],
        device=options["device"],
        on_download=output.download,
        on_warning=output.warn,
    )
    flags = _flag_settings(options)
    changes = settings_of(options["overrides"])
    settings = {key: value for key, value in changes.items() if key not in flags} | flags
    if resume is not None:
        fit = workflow.resume(resume, recipe, settings, environment)
        if fit.is_finished:
            output.say(f"{resume}: all epochs are done; --epochs N trains on")
    else:
        start = None if origin is None else workflow.Origin(run=origin, target=options["target"])
        fit = workflow.start(recipe, settings, options["out"], environment, start)
    with TrainingBar(output, epochs=fit.recipe.training.epochs, samples=len(fit.train)) as bar:
        outcome = workflow.train(fit, bar, tensorboard=options["tensorboard"])
    if is_first_process():
        _print_training(output, outcome)


def _check_usage(
    recipe: str | None, resume: Path | None, origin: Path | None, options: dict[str, Any]
) -> None:
    if recipe is None and resume is None and origin is None:
        raise click.UsageError("give a RECIPE, --from RUN or --resume DIR")
    if resume is not None and origin is not None:
        raise click.UsageError("a run goes on with its own weights: give --resume without --from")
    if resume is not None and options["out"] is not None:
        raise click.UsageError("a run goes on in its own folder: give --resume without --out")
    if options["target"] is not None and origin is None:
        raise click.UsageError("--target is of training on a chip's integers: give --from RUN too")


def _flag_settings(options: dict[str, Any]) -> dict[str, Any]:
    names = ("epochs", "batch_size", "lr", "seed")
    return {f"training.{name}": options[name] for name in names if options[name] is not None}


def _print_training(output: Output, outcome: Any) -> None:  # noqa: ANN401 - TrainOutcome
    if output.as_json:
        output.document(outcome.document())
    elif outcome.best is not None:
        output.line(
            f"{outcome.directory}: {len(outcome.metrics)} epoch(s); {outcome.choice}: "
            f"epoch {outcome.best.epoch}, test accuracy {outcome.best.test_accuracy:.2%}"
        )
    if not outcome.finished:
        output.say(f"saved; go on with: tssl train --resume {outcome.directory}")
        raise click.exceptions.Exit(INTERRUPTED)


@cli.command()
@click.argument("run", type=ANY_PATH)
@click.option(
    "--target",
    required=True,
    metavar="PROFILE",
    help="Name or TOML file.",
    shell_complete=PROFILES,
)
@click.option("-o", "--output", "path", type=FILE, help="The .net file [RUN/NAME-TARGET.net].")
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
@click.option("--data-dir", type=FOLDER, help="Where to look for data files first.")
@lava_options
@common
def export(output: Output, run: Path, target: str, path: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Turn the network of RUN, a training folder, into a proven .net file.

    \b
    Examples:
      tssl export runs/digits --target loihi2 -o digits.net
      tssl export runs/digits --target loihi2 --weight-bits 4 --weight-bits dense2=8
      tssl export runs/digits --target loihi2 --bundle for-the-board
    """
    from tssl.workflow import export as workflow
    from tssl.workflow.bundle import bundle, check_folder
    from tssl.workflow.inputs import InputChoice

    backend = backend_options(options)
    options["weight_bits"] = bits_of(options["weight_bits"])
    folder: Path | None = options.pop("bundle")
    chosen = workflow.ExportOptions(backend=backend, **options)
    if folder is not None:
        check_folder(folder, path)
    with output.bar("proof", chosen.proof_samples) as progress:
        outcome = workflow.export(run, target, path, chosen, progress)
    if folder is not None:
        fed = InputChoice(samples=chosen.proof_samples, data_dir=chosen.data_dir)
        bundle(outcome.path, folder, fed)
        output.say(f"{folder}: read README.md there; python check.py runs and compares")
    document = outcome.document()
    if output.as_json:
        output.document(document)
        return
    show_layers(output, document["layers"])
    rows = [
        [m.layer, m.neurons, m.cores, m.bound_by, f"{m.utilisation:.0%}"] for m in outcome.mapping
    ]
    output.table(
        f"Cores on {target}: {document['cores']}",
        ["layer", "neurons", "cores", "limited by", "utilisation"],
        rows,
    )
    show_proof(output, document["proof"])
    if document["proof"]["verdict"] != "PASS":
        cure = "run `tssl lava install`, then" if chosen.lava else "when wanted, run"
        output.line(f"Not compared with Lava: {cure} `tssl verify` on the file")
    show_loading(output, document["lava_dl"])
    output.line(
        f"{outcome.path}: accuracy float {outcome.float_accuracy:.2%}, "
        f"chip {outcome.chip_accuracy:.2%} ({outcome.samples} test samples)"
    )


@cli.command()
@click.argument("net", type=FILE)
@click.option(
    "--backend",
    required=True,
    metavar="NAME",
    shell_complete=BACKENDS,
    help="engine (ours), sim (Lava's CPU simulator) or loihi2 (a board).",
)
@click.option("--out", type=FOLDER, help="Folder of the result [NET-BACKEND beside NET].")
@input_options
@lava_options
@common
def run(output: Output, net: Path, backend: str, out: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Run NET on our engine, Lava's CPU simulator (sim) or a Loihi 2 board.

    Without --data or --input the network's own data set is taken.

    \b
    Examples:
      tssl run digits.net --backend sim --data digits --samples 100
      tssl run any.net --backend engine --input spikes.npy --out result
    """
    from tssl.reporting import show_result
    from tssl.workflow import run as workflow
    from tssl.workflow.inputs import InputChoice

    lava = backend_options(options)
    choice = InputChoice(on_download=output.download, on_warning=output.warn, **options)
    outcome = workflow.run(net, backend, choice, out, lava, output.bar)
    if output.as_json:
        output.document(outcome.document())
        return
    show_result(outcome.result, output.results)
    output.line(f"{outcome.directory}: result.npz, result.json, network.net")


@cli.command()
@click.argument("net", type=FILE)
@input_options
@click.option("--seed", type=int, help="Take random input, from this seed.")
@click.option(
    "--density",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="D",
    help="Take random input, this share of it active [0.3 of spikes, all graded values].",
)
@lava_options
@common
def verify(output: Output, net: Path, **options: Any) -> None:  # noqa: ANN401
    """Compare our engine with Lava on NET: every layer, every step.

    Without --data or --input the network's own data set is taken; with --seed or
    --density, or when it has none, random input.

    \b
    Examples:
      tssl verify digits.net --samples 50
      tssl verify any.net --samples 5 --steps 20 --seed 1 --density 0.8
    """
    from tssl.workflow import proof as workflow
    from tssl.workflow.inputs import InputChoice

    backend = backend_options(options)
    options["samples"] = 10 if options["samples"] is None else options["samples"]
    choice = InputChoice(on_download=output.download, on_warning=output.warn, **options)
    with output.bar("verify", options["samples"]) as progress:
        proof = workflow.verify(net, choice, backend, progress)
    if output.as_json:
        output.document(proof.document())
    else:
        show_proof(output, proof.document())
    if proof.problem is not None:
        if not output.as_json:
            output.line(proof.problem)
        raise click.exceptions.Exit(4)


@cli.command()
@click.argument("results", type=FOLDER, nargs=-1, required=True, metavar="RESULT...")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    required=True,
    metavar="NAME",
    help="Hardware profile, may be repeated; `all` for every shipped one.",
    shell_complete=PROFILES_OR_ALL,
)
@click.option("--html", type=FILE, help="Also write one self-contained web page.")
@click.option("--io", is_flag=True, help="Price input and output too, where the profile can.")
@click.option(
    "--placement",
    type=click.Choice(["rule", "search"]),
    default="rule",
    show_default=True,
    help="Cores on the mesh by a simple rule, or by search for short ways.",
)
@click.option(
    "--data-dir",
    type=FOLDER,
    help="Where to look for the data of the page's pictures [where the run found them].",
)
@common
def report(output: Output, results: tuple[Path, ...], html: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Estimate energy and latency of each RESULT, a folder written by `tssl run`.

    \b
    Examples:
      tssl report result --profile loihi2 --profile loihi1 --html report.html
      tssl report mlp cnn --profile all --html report.html
    """
    from tssl.hw_profiles import CostOptions
    from tssl.workflow import report as workflow

    chosen = CostOptions(io=options["io"], search=options["placement"] == "search")
    found = workflow.reports(results, options["profiles"], chosen)
    for missing in workflow.write_page(found, html, options["data_dir"]) if html else ():
        output.warn(missing)
    if output.as_json:
        output.document(workflow.joined(found))
        return
    _print_reports(output, found)
    if html is not None:
        output.line(f"{html}: open it in a browser")


def _print_reports(output: Output, found: list[Any]) -> None:
    """Write all costs side by side, and in full where there are few."""
    from tssl.reporting import show_comparison, show_costs, show_operations, show_result

    sheets = [each.sheet for each in found]
    for each, sheet in zip(found, sheets, strict=True):
        show_result(sheet.result, output.results)
        show_operations(sheet.result, output.results, each.input_neurons)
    costs = [cost for sheet in sheets for cost in (*sheet.costs, *sheet.refused)]
    too_many = len(costs) > _MOST_IN_FULL
    if len(costs) > 1:
        show_comparison(sheets, output.results, reasons=too_many)
    if too_many:
        output.line("In full: --html or --json, or at most two profiles at a time.")
        return
    for cost in costs:
        show_costs(cost, output.results)


def _span(values: int | tuple[int, ...]) -> int | str:
    """Return a number that all neurons share, or the smallest and largest of many."""
    return f"{min(values)}..{max(values)}" if isinstance(values, tuple) else values


@cli.command()
@click.argument("net", type=FILE)
@common
def inspect(output: Output, net: Path) -> None:
    """Show what is inside NET.

    \b
    Example:
      tssl inspect digits.net
    """
    from tssl.workflow import inspect as workflow

    document = workflow.inspect(net).document()
    if output.as_json:
        output.document(document)
        return
    rows = [
        [
            layer["layer"],
            layer["kind"],
            _shape(layer["output_shape"]),
            layer["weights"],
            f"{layer['smallest_weight']}..{layer['largest_weight']}",
            layer["weight_bits"],
            _span(layer["threshold"]),
            f"{_span(layer['current_decay'])}, {_span(layer['voltage_decay'])}",
            layer["largest_delay"],
        ]
        for layer in document["layers"]
    ]
    columns = ["layer", "kind", "shape", "weights", "range", "bits", "threshold", "decays u, v"]
    title = f"{document['name']}: input {_shape(document['input_shape'])}"
    output.table(title, [*columns, "delay"], rows)
    if document["input_neuron"] is not None:
        document["input_neuron"] = {k: _span(v) for k, v in document["input_neuron"].items()}
    for key in ("time_steps", "encoding", "input_neuron", "digest"):
        output.line(f"{key.replace('_', ' ')}: {document[key]}")
    for key in ("target", "data", "accuracy", "training"):
        if key in document["notes"]:
            output.line(f"{key}: {document['notes'][key]}")
    show_loading(output, document["lava_dl"])


def _shape(sizes: list[int]) -> str:
    return "x".join(map(str, sizes))


@cli.group(no_args_is_help=False)
def profiles() -> None:
    """List, show and check hardware profiles.

    \b
    Example:
      tssl profiles show loihi2
    """


@profiles.command("list")
@common
def profiles_list(output: Output) -> None:
    """List the shipped profiles.

    \b
    Example:
      tssl profiles list
    """
    from tssl.hw_profiles import load_profile, profile_names

    if output.as_json:
        output.document({"schema_version": 1, "profiles": list(profile_names())})
        return
    rows = []
    for name in profile_names():
        profile = load_profile(name)
        prices = "yes" if profile.energy.synaptic_operation or profile.energy.mac else "none known"
        rows.append([name, profile.chip.title, profile.chip.execution, prices])
    output.table("Hardware profiles", ["name", "chip", "time steps", "energy prices"], rows)


@profiles.command("show")
@click.argument("name", shell_complete=PROFILES)
@common
def profiles_show(output: Output, name: str) -> None:
    """Show every figure of profile NAME with its kind and source.

    \b
    Example:
      tssl profiles show loihi2
    """
    from tssl.hw_profiles import load_profile

    document = load_profile(name).model_dump(mode="json", by_alias=True)
    if output.as_json:
        output.document({"schema_version": 1, "name": name, **document})
        return
    rows = [
        [f"{section}.{key}", *_columns_of(figure)]
        for section, figures in document.items()
        for key, figure in (figures or {}).items()
        if isinstance(figure, dict)
    ]
    chip = document["chip"]
    columns = ["figure", "value", "band", "unit", "kind", "source"]
    output.table(f"{name}: {chip['title']}", columns, rows)
    for key in ("operating_point", "energy_model", "execution", "neuron", "reset"):
        output.line(f"{key.replace('_', ' ')}: {chip[key]}")


def _columns_of(figure: dict[str, Any]) -> list[str]:
    value = figure["value"]
    low, high = (value if figure[end] is None else figure[end] for end in ("low", "high"))
    band = "" if low == high else f"{low:g} to {high:g}"
    return [f"{value:g}", band, figure["unit"], figure["kind"], figure["source"]]


@profiles.command("check")
@click.argument("file", type=FILE)
@common
def profiles_check(output: Output, file: Path) -> None:
    """Check the profile in FILE.

    \b
    Example:
      tssl profiles check mychip.toml
    """
    from tssl.hw_profiles import load_profile

    profile = load_profile(file)
    if output.as_json:
        output.document({"schema_version": 1, "name": profile.name, "valid": True})
    else:
        output.line(f"{file}: is a valid profile ({profile.chip.title})")


@cli.command()
@click.argument("name", required=False, shell_complete=RECIPES)
@common
def recipes(output: Output, name: str | None) -> None:
    """List the shipped recipes, or print recipe NAME with every default spelled out.

    \b
    Examples:
      tssl recipes
      tssl recipes digits > mine.toml
    """
    from tssl.spec import load_recipe
    from tssl.workflow.recipes import recipe_path, shipped_recipes

    if name is not None:
        recipe = load_recipe(recipe_path(name))
        tables = recipe.model_dump(mode="json", exclude_none=True)
        if output.as_json:
            output.document({"schema_version": 1, "recipe": tables})
        else:
            output.line(recipe.to_toml().rstrip())
        return
    loaded = {name: load_recipe(path) for name, path in shipped_recipes().items()}
    if output.as_json:
        descriptions = {name: recipe.description for name, recipe in loaded.items()}
        output.document({"schema_version": 1, "recipes": descriptions})
        return
    rows = [[name, recipe.data.name, recipe.description] for name, recipe in loaded.items()]
    output.table("Recipes", ["name", "data set", "description"], rows)


@cli.group(no_args_is_help=False)
def data() -> None:
    """List and fetch data sets.

    \b
    Example:
      tssl data fetch fashion-mnist
    """


@data.command("list")
@click.option("--data-dir", type=FOLDER, help="Where to look for data files first.")
@common
def data_list(output: Output, data_dir: Path | None) -> None:
    """List the data sets and where they are.

    \b
    Example:
      tssl data list
    """
    from tssl import datasets

    found = [datasets.describe(name, data_dir=data_dir) for name in datasets.DATASETS]
    if output.as_json:
        output.document({"schema_version": 1, "data_sets": [asdict(entry) for entry in found]})
        return
    rows = [[d.name, d.title, d.shape, d.train, d.test, d.licence, d.found] for d in found]
    output.table("Data sets", ["name", "title", "shape", "train", "test", "licence", "found"], rows)


@data.command("fetch")
@click.argument("name", shell_complete=DATA_SETS)
@click.option("--data-dir", type=FOLDER, help="Where to look for data files first.")
@common
def data_fetch(output: Output, name: str, data_dir: Path | None) -> None:
    """Load data set NAME, downloading what is missing, and check it.

    \b
    Example:
      tssl data fetch mnist
    """
    from tssl import datasets

    loaded = [
        datasets.load(name, split, data_dir=data_dir, progress=output.download)
        for split in datasets.SPLITS
    ]
    for dataset in loaded:
        dataset.pass_on_warnings(output.warn)
    if output.as_json:
        sizes = {dataset.split: len(dataset.labels) for dataset in loaded}
        output.document({"schema_version": 1, "name": name, "samples": sizes})
        return
    for dataset in loaded:
        output.line(f"{name}, {dataset.split}: {len(dataset.labels)} samples ({dataset.source})")


@cli.command()
@click.option("--lava-python", envvar=LAVA_PYTHON, help=f"Interpreter with Lava [{LAVA_PYTHON}].")
@common
def doctor(output: Output, lava_python: str | None) -> None:
    """Check the installation; each finding comes with the command that fixes it.

    \b
    Example:
      tssl doctor
    """
    from tssl.workflow.doctor import diagnose

    diagnosis = diagnose(lava_python)
    if output.as_json:
        output.document(diagnosis.document())
    else:
        rows = [
            ["ok" if f.ok else "missing", f.subject, f.detail, f.fix] for f in diagnosis.findings
        ]
        output.table("tssl doctor", ["", "what", "found", "fix"], rows)
    if not diagnosis.healthy:
        raise click.exceptions.Exit(5)


@cli.group(no_args_is_help=False)
def lava() -> None:
    """Look after Lava, the archived simulator.

    \b
    Example:
      tssl lava install
    """


@lava.command("install")
@click.option("--lava-python", envvar=LAVA_PYTHON, help=f"Interpreter with Lava [{LAVA_PYTHON}].")
@common
def lava_install(output: Output, lava_python: str | None) -> None:
    """Install Lava beside tssl, although its metadata ask for other versions.

    \b
    Example:
      tssl lava install
    """
    from tssl.errors import BackendUnavailableError
    from tssl.lava_runtime.install import install
    from tssl.lava_runtime.lava_sim import check

    changed = install(lava_python, output.say)
    problem = check(lava_python)
    if problem is not None:
        raise BackendUnavailableError(problem)
    if output.as_json:
        output.document({"schema_version": 1, "installed_now": changed})
    else:
        output.line("Lava's CPU simulator can be used")


@lava.command("shims")
@common
def lava_shims(output: Output) -> None:
    """Print the file with which plain lava-dl runs on Python 3.11 and later.

    What `tssl inspect NET` shows imports it. It needs nothing of tssl.

    \b
    Example:
      tssl lava shims > lava_worker.py
    """
    from tssl.lava_runtime.plain import WORKER, worker_source

    text = worker_source().read_text(encoding="utf-8")
    if output.as_json:
        output.document({"schema_version": 1, "file": WORKER, "text": text})
    else:
        click.echo(text, nl=False)
