"""The tiny model that other tests stand on."""

from pathlib import Path

from tiny_model import make_tiny_model


def test_the_same_seed_makes_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    again, other = make_tiny_model(tmp_path / "again"), make_tiny_model(tmp_path / "other", seed=1)
    names = sorted(p.name for p in tiny_model.iterdir())
    assert names == sorted(p.name for p in again.iterdir())
    assert [n for n in names if (again / n).read_bytes() != (tiny_model / n).read_bytes()] == []
    assert [n for n in names if (other / n).read_bytes() != (tiny_model / n).read_bytes()] == ["model.safetensors"]
