import pandas as pd
import pytest

from sure_pyro.commands.tables import join, write_piece


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_pieces_joined_are_the_whole(tmp_path, suffix):
    whole = pd.DataFrame({"id": ["007", 'a "b", c', "x\ny", "ä"], "x": [1.5, 2.25, -1e-30, 3.0]})
    pieces = []
    for start, stop in ((0, 1), (1, 3), (3, 4)):
        pieces.append(tmp_path / f"{start}{suffix}")
        write_piece(whole[start:stop], pieces[-1])
    join(pieces, tmp_path / f"joined{suffix}")
    path = tmp_path / f"joined{suffix}"
    read = pd.read_csv(path, dtype={"id": str}) if suffix == ".csv" else pd.read_parquet(path)
    pd.testing.assert_frame_equal(read, whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [*(p.name for p in pieces), path.name]
    )
