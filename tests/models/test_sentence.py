import zlib

import torch

from cospeech.models.sentence import SentenceConfig, SentenceEncoder, grams, words

SMALL = SentenceConfig(buckets=512, width=16, depth=1, heads=2, style_dim=8, most_words=6)


def test_words_are_what_is_left_of_case_accents_and_punctuation():
    assert words("Lève  la MAIN-droite, s'il te plaît!") == ["leve", "la", "main", "droite", "s", "il", "te", "plait"]
    assert words("мах_рукой 👋 挥手") == ["мах", "рукои", "挥手"]
    assert words("… 👋 _") == []


def test_a_word_is_its_n_grams_and_itself_wherever_it_is_read():
    assert len(grams("hand", 10**9)) == 4 + 3 + 2 + 1  # of <hand>: three, four and five letters, and the whole
    assert grams("a", 2**32) == (zlib.crc32(b"<a>"), zlib.crc32(b"=a"))
    assert max(grams("hand", 512)) < 512
    shared = set(grams("hand", 10**9)) & set(grams("hands", 10**9))
    assert len(shared) == 6  # <ha <han <hand han hand and: those before the end


@torch.inference_mode()
def test_a_sentence_reads_the_same_alone_and_beside_a_longer_one():
    torch.manual_seed(0)
    encoder = SentenceEncoder(SMALL).eval()
    alone = encoder(["raises the right hand"])
    among = encoder(["", "raises the right hand", "a " * 100, "👋"])
    torch.testing.assert_close(among.style[1], alone.style[0])
    torch.testing.assert_close(among.motion[1], alone.motion[0])
    torch.testing.assert_close(among.style.norm(dim=1), torch.full((4,), SMALL.style_dim**0.5))
    assert torch.equal(among.style[0], among.style[3])  # without words
    assert not torch.allclose(alone.style, encoder(["the hand right raises"]).style)  # order counts


def test_gradients_reach_the_rows_of_the_words():
    encoder = SentenceEncoder(SMALL)
    found = encoder(["bows", "claps twice"])
    (found.style[:, 0].sum() + found.motion.sum()).backward()
    assert encoder.grams.weight.grad.any(dim=1).sum() <= sum(len(grams(w, 512)) for w in ("bows", "claps", "twice"))
    assert encoder.grams.weight.grad.any()
