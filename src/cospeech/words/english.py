"""English text as it is spoken: a transcript to words, and words that no dictionary has to phones.

[1] Elovitz, Johnson, McHugh & Shore 1976, Automatic translation of English text to phonetics by means of
    letter-to-sound rules, NRL Report 7948: the idea, and in shortened form the rules
"""

import re
import unicodedata
from collections.abc import Callable

from cospeech.errors import DataError, MissingExtra

_ABBREVIATIONS = {
    **{"mr": "mister", "mrs": "missus", "ms": "miz", "dr": "doctor", "prof": "professor", "st": "saint"},
    **{"jr": "junior", "sr": "senior", "vs": "versus", "etc": "et cetera", "approx": "approximately"},
    **{"e.g": "for example", "i.e": "that is", "a.m": "a m", "p.m": "p m", "u.s": "u s", "u.k": "u k"},
}
_SIGNS = {"&": "and", "%": "percent", "+": "plus", "=": "equals", "@": "at", "#": "number", "°": "degrees"}
_MONEY = {"$": "dollars", "£": "pounds", "€": "euros", "¥": "yen"}
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "th", "þ": "th", "ı": "i"}
)

_NOT_SAID = re.compile(r"\[[^\]\n]*\]|<[^>\n]*>")  # [laughs], <noise>
_ABBREVIATION = re.compile(
    r"\b(?:" + "|".join(sorted(map(re.escape, _ABBREVIATIONS), key=len, reverse=True)) + r")\.(?!\w)", re.IGNORECASE
)
_NUMBER = r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?"
_TOKEN = re.compile(rf"({_NUMBER})(st|nd|rd|th|s)?\b|({_NUMBER})|((?:[^\W\d_]\.){{2,}})|([^\W\d_]+(?:'[^\W\d_]+)*'?)")


def spoken(text: str) -> list[str]:
    """The words of a transcript in small letters a to z and apostrophes; numbers, signs and abbreviations spoken out.

    What stands in square or angle brackets is not said. Raises `DataError` for letters of another script.
    """
    text = unicodedata.normalize("NFKC", _NOT_SAID.sub(" ", text))
    text = re.sub(r"[\u2018\u2019\u02bc\u0060\u00b4]", "'", text)
    text = _ABBREVIATION.sub(lambda found: f" {_ABBREVIATIONS[found[0][:-1].lower()]} ", text)
    text = re.sub(r"\bno\.\s*(?=\d)", "number ", text, flags=re.IGNORECASE)
    text = re.sub(rf"([{''.join(_MONEY)}])\s?({_NUMBER})", lambda found: f"{found[2]} {_MONEY[found[1]]}", text)
    text = re.sub(r"(?<!\S)[-\u2212](?=\d)", " minus ", text)
    text = re.sub("[" + re.escape("".join(_SIGNS)) + "]", lambda found: f" {_SIGNS[found[0]]} ", text)
    words = []
    for number, ending, bare_number, initials, word in _TOKEN.findall(text):
        if number or bare_number:
            words += _number(number or bare_number, ending)
        elif initials:  # U.N.
            words += initials.replace(".", "").lower()
        else:
            words.append(_plain(word if word.lower().endswith("s'") else word.removesuffix("'")))
    return words


def _plain(word: str) -> str:
    """Small letters without accents."""
    plain = unicodedata.normalize("NFKD", word.lower().translate(_LETTERS))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    if foreign := re.sub("[a-z']", "", plain):
        raise DataError(
            f"{word!r} has a letter that English does not ({unicodedata.name(foreign[0], 'without a name').lower()}). "
            "The built-in aligner knows only English: use --aligner whisper, or mfa with a model of the language."
        )
    return plain


def _number(written: str, ending: str) -> list[str]:
    """A number such as "1961", "3.5", or "21" with its ending "st", as it is spoken in America."""
    try:
        import inflect
    except ImportError:
        raise MissingExtra("inflect", "align") from None
    engine = inflect.engine()
    digits = written.replace(",", "")
    year = re.fullmatch("1[1-9][0-9]{2}|20[1-9][0-9]", written) is not None
    if digits.isdecimal() and (len(digits) > 15 or (digits[0] == "0" and len(digits) > 1)):
        said = engine.number_to_words(digits, group=1)
    elif ending in ("st", "nd", "rd", "th") and "." not in digits:
        said = engine.number_to_words(engine.ordinal(int(digits)), andword="")
    elif year and digits.endswith("00"):
        said = f"{engine.number_to_words(digits[:2])} hundred"
    elif year:
        said = engine.number_to_words(digits, group=2, zero="oh")
    else:
        said = engine.number_to_words(digits, andword="")
    words = re.findall("[a-z]+", said)
    if ending == "s":  # the 1960s
        words[-1] = engine.plural_noun(words[-1])
    return words


def pronunciations(word: str, lookup: Callable[[str], str | None]) -> list[str]:
    """How a word can be said, in the phones of the CMU dictionary, such as "HH AH L OW"; never empty.

    Args:
        word: Small letters a to z and apostrophes.
        lookup: The dictionary: the phones of a word, None for one it does not have.

    A word that is not in it is taken for two that are, or its letters are translated by rules; a short one may also be
    spelled.
    """
    letters = word.replace("'", "")
    if known := lookup(word) or lookup(letters):
        return [known]
    if word.endswith(("'s", "s'")) and (stem := lookup(word[:-2])):
        return [f"{stem} {_plural(stem)}"]
    for suffix, phones in (("s", None), ("ing", "IH NG"), ("ed", "D"), ("er", "ER"), ("ly", "L IY")):
        if letters.endswith(suffix) and len(letters) - len(suffix) >= 3 and (stem := lookup(letters[: -len(suffix)])):
            return [f"{stem} {phones or _plural(stem)}"]
    middles = sorted(range(4, len(letters) - 3), key=lambda middle: abs(2 * middle - len(letters)))
    for middle in middles:
        if (first := lookup(letters[:middle])) and (second := lookup(letters[middle:])):
            return [f"{first} {second}"]
    spelled = " ".join("EY" if letter == "a" else lookup(letter) or "AH" for letter in letters)
    if not re.search("[aeiouy]", letters):
        return [spelled or "AH"]
    return [by_rule(letters), spelled] if len(letters) <= 4 else [by_rule(letters)]


def _plural(stem: str) -> str:
    last = stem.split()[-1]
    if last in ("S", "Z", "SH", "ZH", "CH", "JH"):
        return "IH Z"
    return "S" if last in ("P", "T", "K", "F", "TH") else "Z"


# The first rule whose pattern fits decides what is said and how many letters are used up; "" is silent.
# \b is an end of the word, C a consonant.
_RULES = r"""
\bkn N; \bgn N; \bwr R; \bps S; \bpn N; \bx Z; \bwh W; \bwho HH UW; \brh R; \bmc M AH K; \bmac M AH K
tion SH AH N; ssion SH AH N; sion ZH AH N; cian SH AH N; cial SH AH L; tial SH AH L; cious SH AH S; tious SH AH S
ture\b CH ER; sure\b ZH ER; ous\b AH S; able\b AH B AH L; ible\b AH B AH L; ism\b IH Z AH M; age\b IH JH
ess\b AH S; ness\b N AH S; less\b L AH S; ment\b M AH N T; ful\b F AH L; ing\b IH NG; ings\b IH NG Z
augh AO; ought AO T; ough AO; eigh EY; igh AY; tch CH; dge JH; dg JH; sch SH; chr K R; ch CH; sh SH; th TH; ph F
gh ; ck K; qu K W; q K
ng(?=\b|C) NG; nk NG K; mb\b M; mn\b M; bt\b T; lk(?<=alk) K; ght T; gn\b N; wh W; x K S; sc(?=[eiy]) S; zz Z; ss S
ll L
c(?=[eiy]) S; cc(?=[eiy]) K S; cc K; c K; g(?=[eiy]) JH; gg G; gu(?=[aeio]) G; g G; j JH
ea(?=d\b|th\b|lth) EH; ear\b IH R; eer IH R; ea IY; ee IY; ei(?=r) EH; ei EY; ey\b IY; ey EY; eu Y UW; ew Y UW
ai(?=r) EH; air EH R; ai EY; ay EY; au AO; aw AO; are\b EH R; ar(?=\b|C) AA R; all AO L; al(?=[kt]) AO; arr AE R
oar AO R; oa OW; oo(?=k) UH; oor AO R; oo UW; oi OY; oy OY; ould UH D; our AW ER; ou AW; ow\b OW; ow AW; oe\b OW
ore AO R; or AO R
ie(?=[lvf]) IY; ies\b IY Z; ied\b IY D; ie\b IY; ier\b IY ER; ire\b AY ER; ir(?=\b|C) ER; ia IY AH; io IY OW; ui UW
ue\b UW
ure\b Y UH R; ur(?=\b|C) ER; er(?=\b|C) ER; yr(?=C) ER; ers\b ER Z
a(?=Ce\b|Ces\b|Ced\b|Ci[aeo]|Cing) EY; e(?=Ce\b|Ces\b) IY; i(?=Ce\b|Ces\b|Ced\b|Cing) AY
o(?=Ce\b|Ces\b|Ced\b|Cing) OW
u(?=Ce\b|Ces\b|Ced\b|Cing|C[aio]) UW; y(?=Ce\b) AY; (?<=[lrsdtz])ed\b IH D; (?<=[pkfsxh])ed\b T; ed\b D
(?<=[szxc])es\b IH Z; es\b Z
le\b AH L; \be IY; e\b ; a\b AH; o\b OW; i\b IY; u\b UW; (?<=\bC)y\b AY; (?<=\bCC)y\b AY; y\b IY; \by Y
y(?=[aeiou]) Y; y IH
(?<=[aeiouy])s\b Z; (?<=[bdgvmnlrw])s\b Z; (?<=[aeiou])s(?=[aeiou]) Z; \ba(?=C[aeiouy]) AH; \bi IH
bb B; dd D; ff F; kk K; mm M; nn N; pp P; rr R; tt T; vv V; cq K
a AE; b B; d D; e EH; f F; h HH; i IH; k K; l L; m M; n N; o AA; p P; r R; s S; t T; u AH; v V; w W; z Z
"""
_COMPILED = [
    (re.compile(pattern.replace("C", "[bcdfghjklmnpqrstvwxz]")), phones)
    for pattern, _, phones in (rule.partition(" ") for rule in re.split("; |\n", _RULES) if rule)
]


def by_rule(letters: str) -> str:
    """The phones of a word by letter-to-sound rules after [1], for letters a to z; "AH" where all are silent."""
    phones, at = [], 0
    while at < len(letters):
        for pattern, said in _COMPILED:
            if found := pattern.match(letters, at):
                phones.append(said)
                at = found.end()
                break
        else:
            at += 1
    return " ".join(filter(None, phones)) or "AH"
