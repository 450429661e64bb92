import pytest
import torch

from cospeech.config import from_dict, to_dict
from cospeech.errors import ConfigError
from cospeech.models.syntalker import FrameEncoderConfig
from cospeech.models.talker import Talker, TalkerConfig, losses

SMALL = TalkerConfig(
    parts=("upper", "face"),
    audio=FrameEncoderConfig(channels=5, width=8, depth=2, kernel=3),
    code_dim=4,
    num_codes=16,
    width=32,
    mlp_width=32,
    num_states=4,
    depth=2,
    temperature={"face": 0.0},
)
CODEBOOKS = [torch.randn(2, 16, 4, generator=torch.Generator().manual_seed(part)) for part in range(2)]


@pytest.fixture
def talker() -> Talker:
    torch.manual_seed(0)
    return Talker(SMALL).eval()


def walked(talker: Talker, speech: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(S, C) latents and vectors of the codes, step by step."""
    past, states = torch.zeros(SMALL.channels), None
    latents, vectors = [], []
    for heard, drawn in zip(talker.hear(speech).split(1, dim=1), noise, strict=True):
        latent, past, states = talker.step(heard, past, CODEBOOKS, drawn, states)
        latents.append(latent)
        vectors.append(past)
    return torch.stack(latents), torch.stack(vectors)


@torch.inference_mode()
def test_steps_say_what_the_whole_sequence_says(talker):
    """What is trained on sequences whose codes are known is what chooses them one after another."""
    speech, noise = torch.randn(1, 80, 5), torch.zeros(20, 2, 2, 16)
    config = talker.config
    talker.config = TalkerConfig(**{**to_dict(config), "audio": config.audio, "parts": config.parts, "speech": 1.0})
    latents, vectors = walked(talker, speech, noise)
    codes = torch.stack(
        [torch.cdist(vectors[:, 4 * p : 4 * p + 4], _sums(CODEBOOKS[p])).argmin(dim=1) for p in range(2)], dim=1
    )
    codes = torch.stack([codes // 16, codes % 16], dim=-1)  # (S, P, Q)
    chosen = torch.stack([torch.stack([CODEBOOKS[p][q, codes[:, p, q]] for q in range(2)], 1) for p in range(2)], 1)
    told = talker(speech, torch.tensor([True]), torch.zeros(1, 8), chosen[None])
    assert len(codes.unique()) > 3
    assert torch.equal(told.logits[0].argmax(dim=-1), codes)
    torch.testing.assert_close(vectors + told.rest[0], latents, atol=1e-5, rtol=0)


def _sums(codebook: torch.Tensor) -> torch.Tensor:
    """(K K, D) all sums of a code of the first stage and one of the second."""
    return (codebook[0][:, None] + codebook[1]).flatten(0, 1)


@torch.inference_mode()
def test_what_comes_later_does_not_change_what_was_done_but_by_hearing(talker):
    speech, noise = torch.randn(1, 80, 5), torch.randn(20, 2, 2, 16)
    other = speech.clone()
    other[:, 48:] = torch.randn(1, 32, 5)
    latents, changed = (walked(talker, each, noise)[0] for each in (speech, other))
    heard_ahead = -(-SMALL.halo_frames // 4)  # steps
    torch.testing.assert_close(latents[: 12 - heard_ahead], changed[: 12 - heard_ahead])
    assert not torch.allclose(latents[12:], changed[12:], atol=1e-3)


@torch.inference_mode()
def test_drawing_keeps_to_its_temperature_and_its_nucleus(talker):
    logits = torch.tensor([2.0, 1.0, 0.0] + [-8.0] * 13)
    generator = torch.Generator().manual_seed(0)

    def drawn(temperature: float) -> list[int]:
        gumbel = -torch.empty(2000, 16).exponential_(generator=generator).log()
        return [int(talker._draw(logits, noise, temperature)) for noise in gumbel]

    assert set(drawn(0.0)) == {0}
    warm = torch.bincount(torch.tensor(drawn(1.0)), minlength=16) / 2000
    expected = logits.softmax(dim=0)
    assert warm[3:].sum() == 0  # beyond the nucleus of 0.95
    torch.testing.assert_close(warm[:3], expected[:3] / expected[:3].sum(), atol=0.04, rtol=0)
    cold = torch.bincount(torch.tensor(drawn(0.3)), minlength=16) / 2000
    assert cold[0] > warm[0]


def test_losses_count_what_is_known():
    torch.manual_seed(0)
    model = Talker(SMALL)
    codes = torch.randint(16, (2, 6, 2, 2))
    chosen = torch.randn(2, 6, 2, 2, 4)
    told = model(torch.randn(2, 24, 5), torch.tensor([True, False]), torch.zeros(2, 8), chosen)
    latents, vectors = torch.randn(2, 6, 8), chosen.sum(dim=3).flatten(2)
    known = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    terms = losses(told, codes, latents, vectors, known)
    wrong = latents.clone()
    wrong[1, :, 4:] += 100  # of the face of the second clip nothing is known
    other = codes.clone()
    other[1, :, 1] = (codes[1, :, 1] + 1) % 16
    assert losses(told, other, wrong, vectors, known) == terms
    wrong[0, :, 4:] += 10
    assert losses(told, codes, wrong, vectors, known)["rest"] > terms["rest"]
    sum(terms.values()).backward()
    assert [name for name, each in model.named_parameters() if each.grad is None] == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"parts": ("upper", "upper")}, "once"),
        ({"width": 0}, "`width`"),
        ({"temperature": {"tail": 1.0}}, "no parts"),
        ({"nucleus": 0.0}, "nucleus"),
        ({"speech": -1.0}, "negative"),
    ],
)
def test_impossible_settings_are_refused(change, problem):
    with pytest.raises(ConfigError, match=problem):
        TalkerConfig(**{"parts": ("upper", "face"), **change})


def test_a_config_survives_json():
    assert from_dict(TalkerConfig, to_dict(SMALL)) == SMALL
