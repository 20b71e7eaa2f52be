"""The documents: what they run runs, what they show is printed, where they point is something."""

import inspect
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests import api_reference, cli_reference, what_can_be_built
from tests.documents import Block, aligned, blocks, recorded_here, run
from tssl.graph.kinds import KINDS
from tssl.lava_runtime import lava_sim
from tssl.machine.files import read_toml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "examples" / "README.md"]
NAMES = {"ids": lambda path: str(path.relative_to(ROOT))}
STEPS = [
    block
    for block in blocks(TUTORIAL.read_text(encoding="utf-8"))
    if block.kind in ("sh", "python") or block.file is not None
]


class Session:
    """One folder in which the tutorial is run, each step after those before it.

    Parameters
    ----------
    steps
        The tutorial's, or some of them, altered.
    """

    def __init__(self, folder: Path, steps: list[Block]) -> None:
        self.folder, self.steps = folder, steps
        self.outputs: list[tuple[int, str]] = []
        self.no_lava = lava_sim.check(None)

    def step(self, number: int) -> tuple[int, str]:
        """Return exit status and output of a step; earlier ones are run first."""
        for block in self.steps[len(self.outputs) : number + 1]:
            leave_out = self.no_lava is not None and self.only_lava(block)
            self.outputs.append((0, "") if leave_out else run(block, self.folder))
        return self.outputs[number]

    def only_lava(self, block: Block) -> bool:
        """Return whether a step can do nothing without Lava; an export can."""
        return block.needs_lava and "tssl export" not in block.text


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return Session(tmp_path_factory.mktemp("tutorial"), STEPS)


def test_there_is_a_tutorial() -> None:
    assert len(STEPS) > 15
    assert sum(step.shown is not None for step in STEPS) > 12
    assert sum(step.needs_lava for step in STEPS) >= 3
    assert any(step.kind == "python" for step in STEPS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(
            number,
            id=f"{number}-{step.text.splitlines()[0][:50]}",
            marks=[pytest.mark.lava] if step.needs_lava else [],
        )
        for number, step in enumerate(STEPS)
    ],
)
def test_tutorial(number: int, session: Session) -> None:
    block = STEPS[number]
    if block.needs_lava and session.no_lava is not None:
        pytest.skip(session.no_lava)
    status, printed = session.step(number)
    fails = block.shown is not None and "tssl: error: " in block.shown
    assert (status != 0) == fails, printed
    if block.shown is not None:
        same_machine = recorded_here(TUTORIAL.read_text(encoding="utf-8"))
        aligned(block.shown, printed, numbers=same_machine)


@pytest.mark.slow
@pytest.mark.lava
def test_tutorial_on_another_processor(tmp_path: Path) -> None:
    """There the same recipe gives another network; here another seed does, which is more."""
    count = [step.kind for step in STEPS].index("python")
    altered = [
        replace(step, text=step.text.replace("\nlr =", "\nseed = 1\nlr =")) for step in STEPS
    ]
    assert sum(new.text != old.text for new, old in zip(altered, STEPS, strict=True)) == 1
    session = Session(tmp_path, altered[:count])
    if session.no_lava is not None:
        pytest.skip(session.no_lava)
    other = 0
    for number, block in enumerate(STEPS[:count]):
        _, printed = session.step(number)
        if block.shown is not None:
            aligned(block.shown, printed, numbers=False)
            other += not is_aligned(block.shown, printed)
    assert other >= 7, "the numbers should differ wherever they follow from training"


def is_aligned(shown: str, printed: str) -> bool:
    try:
        return bool(aligned(shown, printed, numbers=True))
    except AssertionError:
        return False


def python_of(page: Path) -> str:
    """Return all Python of a page; `<!-- not run: why -->` before a block leaves it out."""
    found = blocks(page.read_text(encoding="utf-8"))
    return "\n".join(b.text for b in found if b.kind == "python" and b.reason is None)


def test_readme_has_python() -> None:
    assert python_of(ROOT / "README.md")


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if p != TUTORIAL and python_of(p)], **NAMES)
def test_python_in_pages_runs(page: Path, tmp_path: Path) -> None:
    status, printed = run(Block("python", python_of(page)), tmp_path)
    assert status == 0, printed


@pytest.mark.parametrize("page", PAGES, **NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"\w+:", target):  # https:, mailto:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


def without_code(page: str) -> str:
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_navigation_has_every_page() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = set()
    for entry in settings["nav"]:
        for target in entry.values():
            pages = [target] if isinstance(target, str) else [p for e in target for p in e.values()]
            named |= set(pages)
    assert named == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}


@pytest.mark.parametrize("page", ["coming-from.md", "index.md"])
def test_layers_in_a_sentence_are_layers_of_a_recipe(page: str, tmp_path: Path) -> None:
    text = (DOCS / page).read_text(encoding="utf-8").replace(", ... }", " }")
    entries = re.findall(r"`(\{ type = .*? \})`", text)
    assert entries
    for entry in entries:
        (tmp_path / "layer.toml").write_text(f"layer = {entry}", encoding="utf-8")
        values = read_toml(tmp_path / "layer.toml")["layer"]
        values = {"channels": 1, "kernel": 1, **values} if values["type"] == "conv" else values
        KINDS[values["type"]].entry.model_validate(values)


def test_cli_reference_is_in_step() -> None:
    written = cli_reference.PAGE.read_text(encoding="utf-8")
    assert written == cli_reference.page(), "python -m tests.cli_reference > docs/cli.md"


def test_api_reference_is_in_step() -> None:
    written = api_reference.PAGE.read_text(encoding="utf-8")
    assert written == api_reference.page(), "python -m tests.api_reference > docs/api.md"


def test_list_of_what_can_be_built_is_in_step() -> None:
    written = what_can_be_built.PAGE.read_text(encoding="utf-8")
    command = "python -m tests.what_can_be_built > docs/what-can-be-built.md"
    assert written == f"{what_can_be_built.page()}\n", command


@pytest.mark.parametrize(
    ("rule", "row", "answer"),
    [
        ("tssl-bp", '`norm = "batch"`', "yes"),
        ("tssl-bp", "`own_thresholds = true`", ""),  # docs/methods/lee.md
        ("stdbp", '`neuron = "lif"`', ""),  # docs/methods/stdbp.md
        ("stdbp", '`encoding.input = "time"`', "yes"),
        ("st-rsbp", "`conv`", ""),  # docs/methods/strsbp.md
        ("st-rsbp", '`encoding.input = "graded"`', ""),
        ("lee", "`own_thresholds = true`", "yes"),
        ("lee", '`forward = "chip"`', ""),
    ],
)
def test_what_methods_train_is_as_their_pages_say(rule: str, row: str, answer: str) -> None:
    text = what_can_be_built.PAGE.read_text(encoding="utf-8")
    lines = text.partition("### What each method trains")[2].splitlines()
    head = next(line for line in lines if line.startswith("|  |")).split("|")
    cells = next(line for line in lines if line.startswith(f"| {row} |")).split("|")
    assert cells[[each.strip(" `") for each in head].index(rule)].strip() == answer


def test_api_reference_has_every_verb_and_what_it_returns() -> None:
    text = api_reference.PAGE.read_text(encoding="utf-8")
    verbs = dict(api_reference.verbs())
    assert {"diff", "export", "inspect", "run", "train"} <= verbs.keys()
    for name, verb in verbs.items():
        section = text.split(f"### tssl.{name}\n")[1].split("\n### ")[0]
        for parameter in inspect.signature(verb).parameters:
            assert f"    {parameter}: " in section
        for kind in str(verb.__annotations__["return"]).split(" | "):
            assert f"\n### {kind}\n" in text


class TestComparison:
    """What the tutorial is held to."""

    def test_equal_lines(self) -> None:
        assert aligned("one\ntwo\n", "one  \n two\n".replace(" two", "two"), numbers=True)

    @pytest.mark.parametrize(
        ("shown", "printed"),
        [
            ("energy 5.60 µJ\n", "energy 5.61 µJ\n"),
            ("one\n", "one\ntwo\n"),
            ("one\ntwo\n", "one\n"),
            ("…\ntwo\n", "one\nthree\n"),
            ("rate … samples/s\n", "rate 3 samples\n"),
        ],
    )
    @pytest.mark.parametrize("suffix", ["", "end\n"])
    def test_differences(self, shown: str, printed: str, suffix: str) -> None:
        with pytest.raises(AssertionError):
            aligned(shown + suffix, printed + suffix, numbers=True)

    def test_ellipses(self) -> None:
        printed = "one\n2\n3\nrate 17,000 samples/s\nend\n"
        shown = "one\n…\nrate … samples/s\n…\n"
        assert aligned(shown, printed, numbers=True) == [
            "one", "…", "rate 17,000 samples/s", "…",
        ]  # fmt: skip

    def test_lines_that_are_like_those_left_out(self) -> None:
        printed = "".join(f"epoch {n}  loss {1 / n:.2f}\n" for n in range(1, 9)) + "done\n"
        shown = "epoch 1  loss 0.50\n…\nepoch 7  loss 0.40\nepoch 8  loss 0.30\ndone\n"
        assert aligned(shown, printed, numbers=False) == [
            "epoch 1  loss 1.00", "…", "epoch 7  loss 0.14", "epoch 8  loss 0.12", "done",
        ]  # fmt: skip

    def test_numbers_of_another_machine(self) -> None:
        assert aligned("a   5.60 µJ   93.1%\n──\n", "a  12 nJ  9%\n─────\n", numbers=False)
        assert aligned(f"digest: {'9c' * 32}\n", f"digest: {'0f' * 32}\n", numbers=False)
        with pytest.raises(AssertionError):
            aligned(f"digest: {'9c' * 32}\n", f"digest: {'0f' * 32}\n", numbers=True)
        with pytest.raises(AssertionError):
            aligned("differ 0 PASS\n", "differ 3 FAIL\n", numbers=False)

    @pytest.mark.parametrize(
        ("shown", "printed"),
        [
            (f"digest: {'36e820c2' * 8}", f"digest: {'abcdef99' * 8}"),
            ("needs 2.25 times the energy: it loses", "needs 0.9 of the energy: it wins"),
            (
                "needs 0.627 of the energy: it wins; within the bands it may be otherwise",
                "needs 1.03 times the energy: it loses",
            ),
        ],
    )
    def test_what_follows_from_training(self, shown: str, printed: str) -> None:
        assert aligned(shown, printed, numbers=False) == [printed]
        with pytest.raises(AssertionError):
            aligned(shown, printed, numbers=True)
