"""The English of the documents: sentences that one can read at once, and none of the riddles.

``python -m tests.test_words`` prints the numbers of every page.
"""

import ast
import re
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MEAN, LONGEST = 18, 40
"""Words of a sentence: of all sentences of a page on average, and at most."""
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")),
        *DOCS.glob("*.md"),
        *(DOCS / "methods").glob("*.md"),
    ]
)
BANNED = {
    r"\ban own\b": "one of its own",
    r"\bby all signs\b": "presumably",
    r"\b(?:was|were|is|are) not heard\b": "say what did not answer, and how",
    r"\bthe word of\b|\bby \w+'s word\b": "say what the source states",
    r"\bwithout a word\b": "silently",
    r"\bgives? \w+(?: \w+)? away\b": "shows",
    r"\bsays? so nowhere\b|\bno file says so\b": "say what is not stated, and where",
    r"\blearn\w* \w+(?: \w+)* by heart\b": "fits the training set",
    r"\bnobody\b": "say who or what does not",
    r"\bwhoever\b": "name the layer, the program or the reader",
    r"\bfor want of\b": "because there was no",
    r"\bin a step of theirs\b|\bof ours\b": "name the owner",
    r"\bwhat (?:became|becomes) of it\b": "what it is translated to",
    r"(?m)(?:^|[.:] )Likewise\b": "repeat what is alike",
}
"""What readers stumbled over, and what to write instead."""
IN_MESSAGES = BANNED | {
    r"\b(?:hears?|listens?)\b": "receives spikes from, has the source",
    r"\bso many\b": "the number",
    r"\b(?:is|are) of such\b": "belongs to",
    r"\w\w\(s\)": "tssl.wording.several",
}


def paragraphs(page: str) -> list[str]:
    """Return what is prose: no code, table, heading, picture or comment; a list item is one."""
    text = re.sub(r"^```.*?^```$|<!--.*?-->", "", page, flags=re.M | re.S)
    found: list[str] = []
    for part in re.split(r"\n\s*\n", text):
        kept = [line for line in part.splitlines() if not re.match(r"\s*[|#<!]|    ", line)]
        found += re.split(r"\n(?=\s*(?:[-*]|\d+\.) )", "\n".join(kept))
    items = (re.sub(r"^(?:[-*]|\d+\.) ", "", " ".join(item.split())) for item in found)
    return [item for item in items if len(item.split()) > 3]


def sentences(paragraph: str) -> list[str]:
    """Return the sentences; code in backticks is one word, of a link only the text counts."""
    text = re.sub(r"`[^`]*`", "code", paragraph)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\*+", "", text)
    return [s for s in re.split(r"(?<=[.!?])\s+(?=[A-Z(\"]|code)", text) if len(s.split()) > 1]


def lengths(page: str) -> list[int]:
    """Return the words of every sentence of a page."""
    return [len(s.split()) for each in paragraphs(page) for s in sentences(each)]


def faults(page: str) -> list[str]:
    """Return what is wrong with a page; the empty list when it passes."""
    found = []
    all_sentences = [s for each in paragraphs(page) for s in sentences(each)]
    counts = [len(each.split()) for each in all_sentences]
    if counts and statistics.mean(counts) > MEAN:
        found.append(f"{statistics.mean(counts):.1f} words a sentence; at most {MEAN}")
    for each, count in zip(all_sentences, counts, strict=True):
        if count > LONGEST:
            found.append(f"{count} words, at most {LONGEST}: {each}")
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", page, flags=re.M | re.S)
    text = re.sub(r"\n(?=\S)", " ", text)
    return found + banned(text, BANNED)


def banned(text: str, phrases: Mapping[str, str]) -> list[str]:
    """Return the phrases that are in a text, each with what to write instead."""
    return [
        f"{match[0]!r}: write instead: {instead}"
        for pattern, instead in phrases.items()
        for match in re.finditer(pattern, text, re.IGNORECASE)
    ]


def messages(source: str) -> list[str]:
    """Return the texts in Python that are more than a word and no docstring."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and id(node) not in docstrings
        if isinstance(node.value, str) and " " in node.value
    ]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_page(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", sorted((ROOT / "tssl").rglob("*.html")), ids=name_of)
def test_templates(path: Path) -> None:
    assert banned(path.read_text(encoding="utf-8"), IN_MESSAGES) == []


@pytest.mark.parametrize("path", sorted((ROOT / "tssl").rglob("*.py")), ids=name_of)
def test_messages(path: Path) -> None:
    found = messages(path.read_text(encoding="utf-8"))
    assert [fault for each in found for fault in banned(each, IN_MESSAGES)] == []


@pytest.mark.parametrize("text", ["1 sample(s) are left out", " row(s)", "box(es) or chip(s)"])
def test_one_or_several_is_said(text: str) -> None:
    assert banned(text, IN_MESSAGES)


def test_messages_are_found() -> None:
    source = '"""Doc string."""\nraise E(f"layer {n}: hears " "two layers")\nx = "word"\n'
    assert messages(source) == ["layer ", ": hears two layers"]


class TestMeasure:
    """What the pages are held to, on pages that a reader can count."""

    @pytest.mark.parametrize(
        ("page", "counts"),
        [
            ("One two three four. Five six.\n", [4, 2]),
            ("One two `three four five` six.\n", [4]),
            ("One [two three](four.md#five) six e.g. seven.\n", [6]),
            ("- one two three four\n- five six seven\n  eight. Nine ten.\n", [4, 4, 2]),
            ("# One two three four\n\n| a | b | c d e |\n\n    tssl train it all\n", []),
            ("```sh\none two three four\n```\n<!-- one two three four -->\n", []),
            ("One two costs 0.5 mJ. `tssl run` runs it.\n", [5, 3]),
        ],
    )
    def test_counts(self, page: str, counts: list[int]) -> None:
        assert lengths(page) == counts

    def test_short_sentences_pass(self) -> None:
        assert faults("The chip has cores. A core has neurons.\n") == []

    def test_one_long_sentence(self) -> None:
        page = " ".join(["word"] * 41) + ". " + " ".join(["Short words here."] * 40)
        assert [fault[:8] for fault in faults(page)] == ["41 words"]

    def test_many_middling_sentences(self) -> None:
        page = " ".join([" ".join(["Word"] * 19) + "."] * 5)
        assert faults(page) == ["19.0 words a sentence; at most 18"]

    @pytest.mark.parametrize(
        "page",
        [
            "Train it with an own recipe.\n",
            "This was an\nown recipe.\n",
            "| Lava was not heard |\n",
        ],
    )
    def test_banned(self, page: str) -> None:
        assert len(faults(page)) == 1

    def test_code_may_say_what_it_likes(self) -> None:
        assert faults("```text\nLava was not heard\n```\n") == []


if __name__ == "__main__":
    for each in PAGES:
        words = each.read_text(encoding="utf-8")
        counted = lengths(words) or [0]
        sys.stdout.write(
            f"{name_of(each):28} {len(words.split()):6} words {len(counted):4} sentences  "
            f"mean {statistics.mean(counted):5.1f}  longest {max(counted):3}\n"
        )
