"""Ids of varied captions from transformers' CLIPTokenizer, for `tests/it/tokenizer.rs`.

The vocabulary is built from the merges that the package clip-anytorch carries, so the fixture also checks the copy in
`crates/stride/assets`. OpenAI's own SimpleTokenizer additionally repairs mojibake and decodes HTML entities;
transformers does not, and Stride follows transformers.
"""

import gzip
import importlib.util
import json
from pathlib import Path

import tokenizers
import transformers
from transformers import CLIPTokenizer

MAX_LENGTH = 77
CRATE = Path(__file__).resolve().parent.parent / "crates" / "stride"

CAPTIONS = [
    # Plain captions of faces and avatars.
    "a photo of a cat",
    "a man with glasses",
    "a smiling woman with long curly brown hair and a red hat",
    "The person has high cheekbones, wavy hair and is wearing lipstick.",
    "This man is bald. He has a goatee and bushy eyebrows.",
    "portrait of an elderly gentleman, soft light, 35mm",
    "avatar: pink hair, round sunglasses, hoodie",
    "She is young, attractive and wears heavy makeup, earrings and a necklace.",
    "no beard no mustache",
    "big nose; narrow eyes; pale skin",
    "bangs",
    "5 o'clock shadow",
    # Case and whitespace.
    "A PHOTO OF A CAT",
    "A Photo Of A Cat",
    "  leading and trailing  ",
    "many     spaces   inside",
    "tabs\tand\nnew\r\nlines",
    " ",
    "\n\t ",
    "",
    "non\u00a0breaking\u00a0space",
    "thin\u2009space and ideographic\u3000space",
    "zero\u200bwidth\u200dspace",
    "\ufeffbyte order mark",
    "line\u2028separator and vertical\x0btab, form\x0cfeed",
    # Contractions and apostrophes.
    "don't can't won't it's I'm you're we've she'll he'd",
    "DON'T CAN'T IT'S I'M YOU'RE",
    "the astronaut's cat's toy",
    "rock 'n' roll",
    "'quoted' ''doubled'' '",
    "don\u2019t with a typographic apostrophe",
    "o'clock o'neill d'artagnan",
    "'sting 'tis 'twas 'really",
    # Numbers.
    "1",
    "12 123 1234 12345",
    "3.14159 and 2,718",
    "year 2024, 50% off, $19.99",
    "1st 2nd 3rd 4th",
    "h264 mp3 4k 8bit x86",
    "\u00bd cup, x\u00b2 + y\u00b3, \u2167, \u2460",
    "\u0661\u0662\u0663 arabic-indic digits",
    # Punctuation.
    "hello, world!",
    "wait... what?!",
    "!!!",
    "?!?!",
    "a-b_c/d\\e|f",
    "(round) [square] {curly} <angle>",
    "semi;colon:colon,comma.dot",
    "#hashtag @mention & ampersand",
    "100% *bold* ~tilde~ `code` ^caret^",
    "\u201ccurly quotes\u201d \u2018single\u2019 \u00abguillemets\u00bb",
    "em\u2014dash en\u2013dash hyphen-minus",
    "\u2026 ellipsis",
    "a,b , c ,d",
    "http://example.com/path?query=1&other=2#fragment",
    "user@example.com",
    "C++ C# .NET",
    ":-) :( ;) :D <3",
    # HTML entities and tags are left alone.
    "salt &amp; pepper",
    "&lt;b&gt;bold&lt;/b&gt; &quot;quoted&quot; &#39;",
    "&amp;amp; &nbsp; &eacute;",
    "<p>paragraph</p>",
    # Latin with marks; composed and decomposed forms.
    "caf\u00e9 na\u00efve fa\u00e7ade r\u00e9sum\u00e9",
    "cafe\u0301 nai\u0308ve fac\u0327ade",
    "\u00c5ngstr\u00f6m \u212bngstr\u00f6m",
    "gr\u00fc\u00dfe aus m\u00fcnchen, STRASSE stra\u00dfe",
    "\u0130stanbul \u0131\u015f\u0131k",
    "\u0141\u00f3d\u017a \u010de\u0161tina \u0151\u0171",
    "\ufb01ligature \ufb02ow o\ufb03ce",
    "\u00c6sir \u0152uvre \u00de\u00f3r",
    "sch\u00c3\u00b6n (mojibake stays)",
    # Other scripts.
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!",
    "\u041f\u041e\u0420\u0422\u0420\u0415\u0422 \u0434\u0435\u0432\u0443\u0448\u043a\u0438",
    "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5 \u039a\u039f\u03a3\u039c\u039f\u03a3",
    "\u4e00\u53ea\u732b\u7684\u7167\u7247",
    "\u732b\u306e\u5199\u771f\u3001\u304b\u308f\u3044\u3044\uff01",
    "\uace0\uc591\uc774 \uc0ac\uc9c4",
    "\u1100\u1161\u11a8 jamo",
    "\u0635\u0648\u0631\u0629 \u0642\u0637\u0629",
    "\u05ea\u05de\u05d5\u05e0\u05d4 \u05e9\u05dc \u05d7\u05ea\u05d5\u05dc",
    "\u092c\u093f\u0932\u094d\u0932\u0940 \u0915\u0940 \u0924\u0938\u094d\u0935\u0940\u0930",
    "\u0e23\u0e39\u0e1b\u0e41\u0e21\u0e27",
    "\uff26\uff55\uff4c\uff4c\uff57\uff49\uff44\uff54\uff48 \uff11\uff12\uff13",
    "\U0001d4ea\U0001d4eb\U0001d4ec script letters",
    # Emoji and symbols.
    "\U0001f600",
    "happy \U0001f600 face \U0001f602\U0001f602\U0001f602",
    "family \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "thumb \U0001f44d\U0001f3fd tone",
    "flag \U0001f1e9\U0001f1ea \U0001f1ef\U0001f1f5",
    "heart \u2764\ufe0f and \u2764",
    "\u2192 \u21d2 \u221e \u2260 \u2264 \u00b1 \u00d7 \u00f7",
    "\u00a9 2024 \u2122 \u00ae \u00a7 \u00b6 \u2020",
    "\u20ac100 \u00a320 \u00a55000 \u20bf",
    "\u266b la la \u266a",
    # Control characters and odd code points.
    "nul\x00inside",
    "bell\x07 escape\x1b[31m",
    "\ue000 private use, \U0010ffff last",
    "right\u202eto left override",
    "combining a\u0300\u0301\u0302\u0303 stack",
    "soft\u00adhyphen",
    # Special tokens inside a caption.
    "before <|endoftext|> after",
    "<|startoftext|>a cat<|endoftext|>",
    "<|ENDOFTEXT|> in capitals",
    "<|endoftext",
    "a</w> b</w>",
    # Rare and long words.
    "antidisestablishmentarianism",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "xqzjkvbw qqqqqqq zzzzzzzzzzzzzzzzzzzzzzzz",
    "supercalifragilisticexpialidocious-looking",
    "camelCaseWord snake_case_word kebab-case-word",
    "a" * 300,
    "\u732b" * 40,
    # Around and over the limit of 77 tokens.
    "cat " * 74 + "dog",
    "cat " * 75 + "dog",
    "cat " * 200,
    "a very detailed portrait of a young woman with freckles, " * 12,
    "1234567890" * 10,
    "\U0001f600" * 60,
    "word " * 74 + "unbelievablylongwordattheend",
]


def build_tokenizer() -> CLIPTokenizer:
    folder = importlib.util.find_spec("clip").submodule_search_locations[0]
    lines = gzip.open(Path(folder) / "bpe_simple_vocab_16e6.txt.gz").read().decode("utf-8").split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(256 - len(printable))]
    tokens = symbols + [symbol + "</w>" for symbol in symbols] + ["".join(merge) for merge in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {token: index for index, token in enumerate(tokens)}
    assert len(vocab) == 49408
    return CLIPTokenizer(vocab=vocab, merges=merges)


def main() -> None:
    assert len(set(CAPTIONS)) == len(CAPTIONS)
    tokenizer = build_tokenizer()
    cases = []
    for text in CAPTIONS:
        full = tokenizer(text)["input_ids"]
        cut = tokenizer(text, truncation=True, max_length=MAX_LENGTH)["input_ids"]
        cases.append({"text": text, "ids": cut, "dropped_tokens": len(full) - len(cut)})
    versions = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__}
    path = CRATE / "tests" / "fixtures" / "tokenizer.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ",\n".join(json.dumps(case) for case in cases)
    path.write_text(f'{{"versions": {json.dumps(versions)}, "cases": [\n{rows}\n]}}\n')
    print(f"{path}: {len(cases)} captions, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
