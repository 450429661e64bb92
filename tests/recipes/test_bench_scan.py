import pytest
import torch

from cospeech.recipes import bench_scan


@pytest.mark.parametrize("form", bench_scan.FORMS)
def test_every_form_computes_the_scan(form):
    inputs = bench_scan.inputs(2, 64, 300, 5)
    expected = bench_scan.FORMS["loop: the definition, step by step"](*inputs)
    torch.testing.assert_close(bench_scan.FORMS[form](*inputs), expected, atol=1e-4, rtol=1e-4)


def test_the_table_is_printed(capsys):
    bench_scan.main(batch=1, length=16, channels=32, states=4)
    printed = capsys.readouterr().out
    assert "doubling" in printed
    assert "1.00" in printed
