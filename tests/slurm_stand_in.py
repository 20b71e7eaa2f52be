"""SLURM for tests: ``sbatch``, ``srun`` and what else scripts call, on this machine.

A job is a process group; its nodes are all this machine, and know their number. Options are those
of SLURM's manual that our scripts and submitit give; any other one is refused, as SLURM would.
``install(folder)`` writes the commands.
"""

import json
import os
import re
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

_COMMANDS = ("sbatch", "srun", "scontrol", "sacct", "scancel")
_PARTITIONS = ("short", "long")


def install(folder: Path) -> Path:
    """Write the commands into ``folder/bin``, which is to stand first in ``PATH``."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in _COMMANDS:
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {folder} {name} "$@"\n')
        program.chmod(0o755)
    return programs


def _options(program: str, words: list[str]) -> tuple[Namespace, list[str]]:
    parser = ArgumentParser(prog=program, allow_abbrev=False)
    for name in ("--job-name", "--output", "--error", "--array", "--signal", "--open-mode",
                 "--wckey", "--time", "--mem", "--account"):  # fmt: skip
        parser.add_argument(name)
    parser.add_argument("--partition")
    for name in ("--nodes", "--ntasks", "--ntasks-per-node", "--cpus-per-task",
                 "--kill-on-bad-exit"):  # fmt: skip
        parser.add_argument(name, type=int)
    parser.add_argument("--unbuffered", action="store_true")
    parser.add_argument("--wait", action="store_true")
    parser.add_argument("command", nargs="...")
    given = parser.parse_args(words)
    return given, given.command


def sbatch(folder: Path, words: list[str]) -> int:
    """Take a job, and return at once unless ``--wait`` is given."""
    _, (script, *arguments) = _options("sbatch", words)
    text = Path(script).read_text()
    own = [line.strip() for line in re.findall(r"^#SBATCH (.*)$", text, re.M)]
    given, _ = _options("sbatch", [*own, *words])  # the command line counts last
    if given.partition not in (None, *_PARTITIONS):
        sys.stderr.write(f"sbatch: error: invalid partition specified: {given.partition}\n")
        sys.stderr.write("sbatch: error: Batch job submission failed: Invalid partition name\n")
        return 1
    number = 1 + len(list(folder.glob("job-*")))
    job = folder / f"job-{number}"
    job.mkdir()
    facts = {**vars(given), "script": text, "arguments": arguments, "number": number}
    (job / "job.json").write_text(json.dumps(facts))
    (job / "script").write_text(text)
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder), "run", str(number)],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=None if given.wait else subprocess.DEVNULL,
        stderr=None if given.wait else subprocess.DEVNULL,
    )
    sys.stdout.write(f"Submitted batch job {number}\n")
    sys.stdout.flush()
    return process.wait() if given.wait else 0


def run(folder: Path, words: list[str]) -> int:
    """Run the tasks of a job's array, so many at a time."""
    job = folder / f"job-{words[0]}"
    facts = json.loads((job / "job.json").read_text())
    array = re.fullmatch(r"(\d+)-(\d+)(?:%(\d+))?", facts["array"] or "0-0")
    assert array is not None, facts["array"]
    waiting = list(range(int(array[1]), int(array[2]) + 1))
    (job / "states.json").write_text(json.dumps(dict.fromkeys(map(str, waiting), "PENDING")))
    running: dict[int, subprocess.Popen[bytes]] = {}
    failed = False
    while waiting or running:
        while waiting and len(running) < int(array[3] or 2):
            index = waiting.pop(0)
            running[index] = _task(job, facts, index)
            _note(job, index, "RUNNING")
        for index, process in list(running.items()):
            if process.poll() is not None:
                failed |= process.returncode != 0
                _note(job, index, "FAILED" if process.returncode else "COMPLETED")
                del running[index]
        time.sleep(0.05)
    return int(failed)


def _note(job: Path, index: int, state: str) -> None:
    states = json.loads((job / "states.json").read_text())
    whole = job / "states.new"
    whole.write_text(json.dumps({**states, str(index): state}))
    whole.replace(job / "states.json")


def _task(job: Path, facts: dict[str, object], index: int) -> "subprocess.Popen[bytes]":
    nodes = int(str(facts["nodes"] or 1))
    each = int(str(facts["ntasks_per_node"] or facts["ntasks"] or 1))
    number = str(facts["number"])
    environment = {
        **os.environ, "SLURM_JOB_ID": number, "SLURM_NNODES": str(nodes),
        "SLURM_JOB_NUM_NODES": str(nodes), "SLURM_NTASKS": str(nodes * each),
        "SLURM_NTASKS_PER_NODE": str(each), "SLURM_JOB_NODELIST": "localhost",
        "SLURM_PROCID": "0", "SLURM_NODEID": "0", "SLURM_LOCALID": "0",
    }  # fmt: skip
    if facts["cpus_per_task"]:
        environment["SLURM_CPUS_PER_TASK"] = str(facts["cpus_per_task"])
    if facts["array"]:
        environment |= {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": str(index)}
    pattern = str(facts["output"] or "slurm-%j.out")
    with open(_named(pattern, facts, index), "ab") as log:
        return subprocess.Popen(
            ["bash", str(job / "script"), *facts["arguments"]],  # type: ignore[misc]
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip


def _named(pattern: str, facts: dict[str, object], index: int) -> str:
    number = str(facts["number"])
    names = {"%x": str(facts["job_name"]), "%j": number, "%A": number, "%a": str(index)}
    return re.sub("%[xjAa]", lambda found: names[found[0]], pattern)


def srun(_: Path, words: list[str]) -> int:
    """Run a command once for each task of the job; node N has tasks N * each and on."""
    given, command = _options("srun", words)
    tasks = 1 if "SUBMITIT_EXECUTOR" in os.environ else int(os.environ["SLURM_NTASKS"])
    each = max(1, tasks // int(os.environ["SLURM_NNODES"]))
    facts = {"number": os.environ["SLURM_JOB_ID"], "job_name": ""}
    processes = []
    for task in range(tasks):
        environment = {
            **os.environ, "SLURM_PROCID": str(task), "SLURM_NODEID": str(task // each),
            "SLURM_LOCALID": str(task % each),
        }  # fmt: skip
        files = {}
        for name, key in (("stdout", "output"), ("stderr", "error")):
            if getattr(given, key):
                index = int(os.environ.get("SLURM_ARRAY_TASK_ID", "0"))
                path = _named(getattr(given, key).replace("%t", str(task)), facts, index)
                files[name] = open(path, "ab")  # noqa: SIM115 - the process has it
        processes.append(subprocess.Popen(command, env=environment, **files))
    return max(abs(process.wait()) for process in processes)


def scontrol(_: Path, words: list[str]) -> int:
    """Show the nodes of a job."""
    assert words == ["show", "hostnames", "localhost"], words
    sys.stdout.write("127.0.0.1\n" * int(os.environ["SLURM_NNODES"]))
    return 0


def sacct(folder: Path, words: list[str]) -> int:
    """Show the states of jobs."""
    sys.stdout.write("JobID|State|NodeList\n")
    for number in words[words.index("-j") + 1 :: 2]:
        path = folder / f"job-{number}" / "states.json"
        for index, state in (json.loads(path.read_text()) if path.exists() else {}).items():
            sys.stdout.write(f"{number}_{index}|{state}|localhost\n")
    return 0


def scancel(folder: Path, words: list[str]) -> int:
    """Note what was to be cancelled."""
    with (folder / "cancelled").open("a") as file:
        file.write(" ".join(words) + "\n")
    return 0


if __name__ == "__main__":
    _, place, name, *rest = sys.argv
    sys.exit(globals()[name](Path(place), rest))
