from characters import BAKED
from test_character import clasped

from cospeech import save
from cospeech.recipes import bench_characters


def test_it_prints_a_row_for_every_character(tmp_path, capsys):
    save(clasped(), tmp_path / "talk.npz")
    bench_characters.main([str(tmp_path / "talk.npz"), *map(str, (BAKED / "mixamo.glb", BAKED / "cmu.glb"))])
    first, *table = capsys.readouterr().out.splitlines()
    assert first.startswith("largest turn in talk.npz: ")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert [row[0] for row in rows] == ["character", "---", "mixamo.glb", "cmu.glb"]
    assert len({len(row) for row in rows}) == 1
    assert float(rows[2][2]) < 1
