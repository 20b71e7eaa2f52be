"""Sound through the cochlea: against a slow one in plain Python, and files of every kind."""

import io
import math
import wave
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile
from scipy.signal import bilinear

from tests.contract.mutations import spoiled
from tssl import datasets
from tssl.datasets import Frames, Reading, given_source
from tssl.datasets.formats.sound import cochlea, read
from tssl.errors import ConfigError, DataError, TsslError

RATE = 8000
SOUND = np.sin(np.arange(800) * 0.7) + 0.5 * np.sin(np.arange(800) ** 1.5 / 50)


def short() -> bytes:
    wavfile.write(buffer := io.BytesIO(), RATE, np.rint(SOUND[:400] * 9000).astype("i2"))
    return buffer.getvalue()


SHORT = short()


def slow_cochlea(
    sound: np.ndarray, rate: int, bands: int, low: float, high: float, threshold: float
):
    """Return the spikes (band, sample) of band-passes made by the bilinear transform by hand."""
    spikes = []
    for band in range(bands):
        first, last = (low * (high / low) ** (k / bands) for k in (band, band + 1))
        warped = [2 * rate * math.tan(math.pi * f / rate) for f in (first, last)]
        width, centre = warped[1] - warped[0], warped[0] * warped[1]
        b, a = bilinear([width, 0], [1, width, centre], rate)
        charge, fired, history = 0.0, 0, [0.0] * 4
        for n, x in enumerate(sound / abs(sound).max()):
            x1, x2, y1, y2 = history
            y = b[0] * x + b[1] * x1 + b[2] * x2 - a[1] * y1 - a[2] * y2
            history = [x, x1, y, y1]
            charge += max(y, 0) * 1000 / rate
            if math.floor(charge / threshold) > fired:
                fired = math.floor(charge / threshold)
                spikes.append((band, n))
    return sorted(spikes, key=lambda spike: (spike[1], spike[0]))


def test_the_cochlea_is_the_one_that_is_stated():
    how = Reading(bands=5, band_hz=(200.0, 3000.0), spike_threshold=0.07)
    recording = cochlea(SOUND, RATE, how)
    expected = slow_cochlea(SOUND, RATE, 5, 200.0, 3000.0, 0.07)
    found = zip(recording.events.x.tolist(), recording.events.time_us.tolist(), strict=True)
    assert list(found) == [(band, n * 1_000_000 // RATE) for band, n in expected]
    assert len(expected) > 100
    assert recording.shape == (1, 1, 5)


@pytest.mark.parametrize("hertz", [150, 440, 1000, 2900])
def test_a_tone_excites_its_band_most(hertz: int):
    tone = np.sin(np.arange(4000) * 2 * math.pi * hertz / RATE)
    counts = np.bincount(cochlea(tone, RATE, Reading()).events.x, minlength=32)
    edges = 100 * 36 ** (np.arange(33) / 32)
    assert abs(counts.argmax() - (np.searchsorted(edges, hertz) - 1)) <= 1


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4"])
def test_files(kind: str, tmp_path: Path):
    scale = {"u1": 100, "i2": 30_000, "i4": 2_000_000_000, "f4": 0.7}[kind]
    sound = SOUND / abs(SOUND).max() * scale + (128 if kind == "u1" else 0)
    wavfile.write(tmp_path / "x.wav", RATE, np.rint(sound).astype(kind) if kind != "f4" else sound)
    own = read(tmp_path / "x.wav", Reading())
    near = cochlea(SOUND, RATE, Reading())
    assert abs(len(own.events.x) - len(near.events.x)) <= 0.02 * len(near.events.x)


def test_two_channels_are_averaged(tmp_path: Path):
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        both = np.rint(np.stack([SOUND * 9000, SOUND * 3000], axis=1)).astype("<i2")
        file.writeframes(both.tobytes())
    one = cochlea(both.astype(float).mean(axis=1), RATE, Reading())
    assert np.array_equal(read(tmp_path / "x.wav", Reading()).events, one.events)


def test_silence_has_no_spikes():
    for sound in (np.zeros(100), np.zeros(0)):
        assert len(cochlea(sound, RATE, Reading()).events.x) == 0


def test_what_is_refused(tmp_path: Path):
    with pytest.raises(
        ConfigError, match=r"band_hz = \[100, 3600\]: sound at 6000 Hz .* below 3000"
    ):
        cochlea(SOUND, 6000, Reading())
    (tmp_path / "x.wav").write_bytes(b"hello")
    with pytest.raises(DataError, match="cannot be read as sound: "):
        read(tmp_path / "x.wav", Reading())
    wavfile.write(tmp_path / "x.wav", RATE, np.array([0, np.nan], np.float32))
    with pytest.raises(DataError, match="samples that are no finite numbers"):
        read(tmp_path / "x.wav", Reading())


def test_spoilt_files(tmp_path: Path):
    for case in range(100):
        (tmp_path / "x.wav").write_bytes(spoiled(SHORT, np.random.default_rng(case)))
        said = ""
        try:
            read(tmp_path / "x.wav", Reading(bands=3))
        except TsslError as error:
            said = str(error)
        assert "\n" not in said, case


def test_spoken_digits_have_their_official_split(tmp_path: Path):
    for digit in (3, 7):
        for index in (0, 4, 5, 49):
            wavfile.write(tmp_path / f"{digit}_theo_{index}.wav", RATE, (SOUND * 9).astype("i2"))
    source = given_source(tmp_path)
    frames = Frames(time_steps=3, bin_us=20_000)
    for split, indices in (("train", (5, 49)), ("test", (0, 4))):
        data = datasets.load(source, split, data_dir=None, frames=frames)
        assert data.class_names == ("3", "7")
        assert data.labels.tolist() == [0, 1, 0, 1]
        names = [Path(sample.name).stem for sample in source.found.samples[split]]
        assert names == [f"{digit}_theo_{index}" for index in indices for digit in (3, 7)]


def test_real_recordings(shared_dir: Path, tmp_path: Path):
    archive = shared_dir / "data" / "fsdd" / "fsdd_recordings.tar.xz"
    if not archive.exists():
        pytest.skip(f"needs {archive}")
    import tarfile

    wanted = [f"recordings/{d}_{who}_{i}.wav" for d in range(10) for who in ("theo", "george")
              for i in (1, 9)]  # fmt: skip
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.name in wanted:
                opened.extract(member, tmp_path, filter="data")
    frames = Frames(time_steps=40, bin_us=20_000)
    source = given_source(tmp_path / "recordings")
    train, test = (datasets.load(source, s, data_dir=None, frames=frames) for s in datasets.SPLITS)
    assert np.bincount(train.labels).tolist() == np.bincount(test.labels).tolist() == [2] * 10
    assert 0.05 < train.inputs[:].mean() < 0.6
