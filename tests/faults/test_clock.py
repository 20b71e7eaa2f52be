"""Clocks that are wrong, or jump by years while a command runs: no result depends on one."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tssl
from tests.faults.scenes import Forker, Undisturbed, contents, parts

pytestmark = pytest.mark.slow

YEAR = 365 * 86400
ASKING = re.compile(r"\btime\.(time|time_ns|localtime|gmtime|strftime)\b|datetime\.(now|today|utc)")


@pytest.mark.parametrize("name", ["train", "resume", "export", "run", "report"])
def test_the_clock_jumps(
    name: str,
    forker: Forker,
    work: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    """By up to ten years, either way, whenever it is asked."""
    expected = undisturbed(name)
    folder = expected.copy(tmp_path / "x")
    forker.run(*expected.scene.on(folder, work), folder=folder, clock=7)
    assert contents(folder) == expected.after
    assert parts(folder) == []


@pytest.mark.parametrize("seconds", [pytest.param(0, id="1970"), pytest.param(4e9, id="2096")])
@pytest.mark.parametrize("name", ["resume", "export over another", "run"])
def test_files_of_another_time(
    name: str,
    seconds: float,
    forker: Forker,
    work: Path,
    tmp_path: Path,
    undisturbed: Callable[[str], Undisturbed],
) -> None:
    """As from a machine whose clock was wrong."""
    expected = undisturbed(name)
    folder = expected.copy(tmp_path / "x")
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (seconds, seconds))
    forker.run(*expected.scene.on(folder, work))
    assert contents(folder) == expected.after
    assert parts(folder) == []


def test_what_a_killed_writer_left_in_the_future_is_removed(
    forker: Forker, work: Path, tmp_path: Path, undisturbed: Callable[[str], Undisturbed]
) -> None:
    """Leftovers are told by their locks, not by their age."""
    expected = undisturbed("report")
    words = expected.scene.on(tmp_path, work)
    assert forker.start(*words, folder=tmp_path, kill=4).wait() == -9
    (left,) = parts(tmp_path)
    os.utime(left, (100 * YEAR, 100 * YEAR))
    forker.run(*words)
    assert contents(tmp_path) == expected.after
    assert parts(tmp_path) == []


def test_nothing_asks_for_the_time_of_day() -> None:
    """Durations are taken from clocks that nobody sets; one file says when something was made."""
    sources = sorted(Path(tssl.__file__).parent.rglob("*.py"))
    assert sources
    asking = [path.name for path in sources if ASKING.search(path.read_text())]
    assert asking == ["origin.py"]


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long offset(void) {
    static int asked;
    const char *years = getenv("YEARS_OFF");
    long seconds = years ? atol(years) * 365 * 86400 : 0;
    return asked++ % 2 ? seconds : 0;  /* every other time: it jumps there and back */
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += offset();
    return status;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
"""


def test_the_machines_clock_jumps(tmp_path: Path) -> None:
    """Every library sees it, down to C: 1976, before zip files began, and 2116."""
    library = tmp_path / "shim.so"
    (tmp_path / "shim.c").write_text(SHIM)
    compiler = ["gcc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "shim.c"), "-ldl"]
    try:
        subprocess.run(compiler, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot compile: {error}")
    repository = str(Path(__file__).parents[2])
    given = {"PYTHONPATH": repository, "LD_PRELOAD": str(library)}
    command = [sys.executable, "-c", CHAIN, "0", "-50", "90"]
    ran = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **given}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    jumps = [round(float(line[5:]) / YEAR) for line in ran.stdout.splitlines() if "jump" in line]
    assert jumps == [0, 50, 90], "the clock did jump"
    for years in ("-50", "90"):
        assert contents(tmp_path / years) == contents(tmp_path / "0")


CHAIN = """
import os, sys, time
from tssl.cli import run_command
train = '--set training.batch_size=64 --device cpu --quiet'
for years in sys.argv[1:]:
    os.mkdir(years)
    os.chdir(years)
    os.environ['YEARS_OFF'] = years
    print('jump', abs(time.time() - time.time()))
    for command in (f'train digits --epochs 1 --out run {train}', 'train --resume run --epochs 2',
                    'export run --target loihi2 -o x.net --no-lava --samples 50 --proof-samples 5',
                    'run x.net --backend engine --samples 50 --out result',
                    'report result --profile loihi2 --html page.html'):
        status = run_command([*command.split(), '--quiet'])
        if status:
            sys.exit(command)
    os.chdir('..')
"""
