"""Whole files or none, and one clear line for what cannot be read or written."""

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tssl.errors import CheckpointError, ConfigError, OutputError
from tssl.machine import files


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_appears_with_its_folder(tmp_path: Path):
    target = tmp_path / "a" / "b" / "new.txt"
    files.write_text(target, "grüße\n")
    assert target.read_bytes() == "grüße\n".encode()
    assert leftovers(target.parent) == ["new.txt"]


def test_the_file_is_not_there_before_the_block_ends(tmp_path: Path):
    target = tmp_path / "new.txt"
    with files.written(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent, "a move across file systems is not atomic"
    assert target.read_text() == "half"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
):
    def write_half() -> None:
        with files.written(target) as temporary:
            temporary.write_text("half")
            raise error

    target = tmp_path / "old.txt"
    target.write_text("old")
    with pytest.raises(error):
        write_half()
    assert target.read_text() == "old"
    assert leftovers(tmp_path) == ["old.txt"]


def test_a_folder_that_cannot_exist_is_an_output_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "below.txt"
    with pytest.raises(OutputError, match=r"file: cannot be written: File exists"):
        files.write_text(target, "x")
    with pytest.raises(OutputError, match="Not a directory"):
        files.make_directory(target)


def test_a_folder_in_the_place_of_the_file_is_an_output_error(tmp_path: Path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match=r"taken: cannot be written: Is a directory"):
        files.write_text(tmp_path / "taken", "x")
    assert leftovers(tmp_path) == ["taken"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_an_output_error(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        files.write_text(tmp_path / "new.txt", "x")


def test_a_full_disk_is_an_output_error_and_keeps_the_old_file(tmp_path: Path):
    target = tmp_path / "old.txt"
    target.write_text("old")
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with (
        pytest.raises(OutputError, match=r"old\.txt: cannot be written: No space left on device"),
        files.written(target),
        Path("/dev/full").open("w") as full,
    ):
        full.write("x")
    assert target.read_text() == "old"
    assert leftovers(tmp_path) == ["old.txt"]


def test_a_disk_that_fills_only_at_the_flush_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = tmp_path / "old.txt"
    target.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        files.write_text(target, "new")
    assert target.read_text() == "old"
    assert leftovers(tmp_path) == ["old.txt"]


def test_a_written_file_has_the_rights_of_an_ordinary_one(tmp_path: Path):
    (tmp_path / "ordinary").write_text("")
    files.write_text(tmp_path / "ours", "")
    ordinary, ours = ((tmp_path / name).stat().st_mode for name in ("ordinary", "ours"))
    assert stat.filemode(ours) == stat.filemode(ordinary)


def test_a_pipe_is_not_replaced(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="no ordinary file"):
        files.write_text(pipe, "text")
    assert pipe.is_fifo()


def test_a_pipe_among_files_is_not_replaced(tmp_path: Path):
    pipe, last = tmp_path / "pipe", tmp_path / "last"
    os.mkfifo(pipe)
    last.write_text("old")
    with pytest.raises(OutputError, match="no ordinary file"):
        write_both(tmp_path)
    assert pipe.is_fifo()
    assert last.read_text() == "old"
    assert leftovers(tmp_path) == ["last", "pipe"]


def write_both(folder: Path) -> None:
    with files.written_together(folder, "last") as temporary:
        for name in ("pipe", "last"):
            (temporary / name).write_text("new")


def test_a_link_is_followed(tmp_path: Path):
    target, link = tmp_path / "there" / "file", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to(target)
    files.write_text(link, "text")
    assert link.is_symlink()
    assert target.read_text() == "text"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_json_comes_back_and_keeps_its_letters(tmp_path: Path):
    document = {"ä": [1, None, 2.5], "b": {"c": "ϑ"}}
    files.write_json(tmp_path / "x.json", document)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert "ϑ" in text
    assert text.endswith("}\n")
    assert files.read_json(tmp_path / "x.json", ConfigError) == document


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not valid JSON"),
        (b"", "is not valid JSON"),
        (b"\xff\xfe{}", "is not valid JSON"),
        (b"[1]", "holds a JSON list, not an object"),
        (b"null", "holds a JSON NoneType, not an object"),
    ],
)
def test_damaged_json_is_the_error_asked_for(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"x.json: {message}"):
        files.read_json(path, CheckpointError)


def test_json_nested_too_deeply_is_the_error_asked_for(tmp_path: Path):
    path = tmp_path / "x.json"
    path.write_text("[" * 200_000)
    with pytest.raises(CheckpointError, match=r"x\.json: is not valid JSON"):
        files.read_json(path, CheckpointError)


def test_missing_json_is_the_error_asked_for(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"none\.json: cannot be read: No such file"):
        files.read_json(tmp_path / "none.json", CheckpointError)


def test_a_byte_order_mark_is_no_error(tmp_path: Path):
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert files.read_toml(tmp_path / "x.toml") == {"a": 1}
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert files.read_json(tmp_path / "x.json", ConfigError) == {"a": 1}


def test_toml_becomes_tables(tmp_path: Path):
    (tmp_path / "x.toml").write_text("a = 1\n[b]\nc = 'd'\n")
    assert files.read_toml(tmp_path / "x.toml") == {"a": 1, "b": {"c": "d"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = \n", r"is not valid TOML: .*line 1, column 5"),
        (b"a = 1\na = 2\n", r"is not valid TOML: .*line 2"),
        (b"[a\n", r"is not valid TOML"),
        (b"a = '\xff'", r"is not valid TOML: .*utf-8"),
        (b"a = " + b"[" * 4990, r"is not valid TOML"),
        (b"a = " + b"9" * 4990, r"is not valid TOML"),
        (b"a" + b".a" * 2500 + b" = 1", r"is too large"),
        (b"#\n" * 200_000, r"is too large"),
    ],
)
def test_damaged_toml_is_a_config_error_with_its_place(
    tmp_path: Path, content: bytes, message: str
):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"x\.toml: {message}"):
        files.read_toml(path)


@pytest.mark.parametrize(("name", "why"), [("none.toml", "No such file"), ("", "Is a directory")])
def test_unreadable_toml_is_a_config_error(tmp_path: Path, name: str, why: str):
    with pytest.raises(ConfigError, match=f"cannot be read: {why}"):
        files.read_toml(tmp_path / name)


def test_text_with_half_a_character_is_written(tmp_path: Path):
    """As Python hands over the bytes of a file name that are no text."""
    name = os.fsdecode(b"a\xffb")
    files.write_json(tmp_path / "a.json", {"file": name})
    assert json.loads((tmp_path / "a.json").read_text()) == {"file": "a?b"}
    assert files.printable(Path(name)) == "a\N{REPLACEMENT CHARACTER}b"


def test_a_pointer_of_git_lfs_is_told_from_other_files(tmp_path: Path):
    pointer, other = tmp_path / "pointer", tmp_path / "other"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    other.write_text("version 2\n")
    assert "git lfs pull" in files.pointer_hint(pointer)
    assert files.pointer_hint(other) == files.pointer_hint(tmp_path / "none") == ""


# --- scratch folders ------------------------------------------------------------------------


@pytest.fixture
def temporary_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def holder(place: Path) -> "subprocess.Popen[str]":
    """Start a process that has a scratch folder with a file in it, and wait until it has."""
    code = (
        "import sys, time; from tssl.machine.files import scratch_folder\n"
        "with scratch_folder('tssl-lava-') as folder:\n"
        "    (folder / 'file').write_text('x'); print(folder.name, flush=True); time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(place)},
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_streams_are_told_from_files_and_folders(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("pipe")
    kinds = {"pipe": True, "link": True, "file": False, ".": False, "none": False}
    assert {name: files.is_stream(tmp_path / name) for name in kinds} == kinds
    assert files.is_stream(Path(os.devnull))


def test_a_scratch_folder_goes_with_its_block(temporary_place: Path):
    with files.scratch_folder("tssl-lava-") as folder:
        assert folder.parent == temporary_place
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("x")
    assert leftovers(temporary_place) == []


def test_what_a_killed_process_left_goes_at_the_next_start(temporary_place: Path):
    """What belongs to a living process stays, and so does what only looks alike."""
    (temporary_place / "other-1").mkdir()
    (temporary_place / "tssl-lava-file").write_text("x")
    (temporary_place / "tssl-lava-link").symlink_to(temporary_place / "other-1")
    unlike = leftovers(temporary_place)
    with holder(temporary_place) as living, holder(temporary_place) as dead:
        dead.kill()
        dead.wait()
        assert len(leftovers(temporary_place)) == len(unlike) + 2
        with files.scratch_folder("tssl-lava-") as own:
            now = {*leftovers(temporary_place)} - {*unlike, own.name}
            assert len(now) == 1
            assert (temporary_place / now.pop() / "file").exists()
        living.kill()
    with files.scratch_folder("tssl-lava-"):
        pass
    assert leftovers(temporary_place) == unlike


def test_scratch_of_another_user_stays(temporary_place: Path, monkeypatch: pytest.MonkeyPatch):
    (temporary_place / "tssl-lava-theirs").mkdir()
    monkeypatch.setattr(files.os, "getuid", lambda: os.stat(temporary_place).st_uid + 1)
    with files.scratch_folder("tssl-lava-"):
        pass
    assert leftovers(temporary_place) == ["tssl-lava-theirs"]


def test_a_scratch_folder_taken_for_a_leftover_before_it_is_locked(
    temporary_place: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another start removes it between its creation and its lock; then there is a new one."""
    create, lock, made = files.tempfile.mkdtemp, files.fcntl.flock, []

    def created(**options: str) -> str:
        made.append(create(**options))
        return str(made[-1])

    def locked_late(handle: int, kind: int) -> None:
        if len(made) == 1:
            os.rmdir(made[0])
        lock(handle, kind)

    monkeypatch.setattr(files.tempfile, "mkdtemp", created)
    monkeypatch.setattr(files.fcntl, "flock", locked_late)
    with files.scratch_folder("tssl-lava-") as folder:
        assert folder.is_dir()
        assert str(folder) == made[1]
