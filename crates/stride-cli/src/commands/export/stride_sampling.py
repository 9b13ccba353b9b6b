"""What Stride does around its networks: steps, guidance, noise, and prompts as rows of an embedding table."""

import math

import numpy as np

BASE_LEVEL = 7
# CLIP's tokens around a prompt.
START, END = 49406, 49407
# What random numbers are for: the second part of their key.
SAMPLING, COMPLETION = 0, 9


def step_plan(count):
    """Times and levels of the steps: powers of two are uniform; of others, evenly spaced parts are halved."""
    if not 1 <= count <= 128:
        raise ValueError(f"the number of steps must be from 1 to 128, found {count}")
    level = count.bit_length() - 1
    parts = 1 << level
    halved, steps = count - parts, []
    for part in range(parts):
        t = part / parts
        if (part + 1) * halved // parts > part * halved // parts:
            steps += [(t, level + 1), (t + 0.5 / parts, level + 1)]
        else:
            steps.append((t, level))
    return steps


def network_times(sampler, steps):
    """What the network is asked at each step: time and level."""
    sampler = sampler or {"kind": "euler"}
    if sampler["kind"] == "consistency":
        times = [index / len(steps) for index in range(len(steps))]
        return [(t, min(-math.log2(1 - t), BASE_LEVEL)) for t in times]
    is_base = sampler.get("base_level_only", False)
    return [(t, float(BASE_LEVEL if is_base else level)) for t, level in steps]


def guidance_at(guidance, level):
    """How a step can be guided: by two passes, by an input of the network, or not at all."""
    if isinstance(guidance, dict):
        is_two_passes = level >= BASE_LEVEL and not guidance["scale_input"].get("at_base_level", False)
        return "two passes" if is_two_passes else "input"
    is_known = guidance == "any_level" or (guidance == "base_level" and level >= BASE_LEVEL)
    return "two passes" if is_known else None


def check_guidance(guidance, times, scale, negative_prompt):
    """Whether steps are guided; an error where the model does not know how."""
    if scale == 1 and negative_prompt is None:
        return False
    ways = {guidance_at(guidance, level) for _, level in times}
    if None in ways:
        raise ValueError(f"this model cannot be guided in {len(times)} steps; use a guidance scale of 1")
    if "input" in ways:
        most = guidance["scale_input"]["max_scale"]
        if negative_prompt is not None:
            raise ValueError("the guidance scale is an input of this model, so it takes no negative prompt")
        if not 1 <= scale <= most:
            raise ValueError(f"this model takes guidance scales from 1 to {most}, found {scale}")
    return scale != 1


def advance(sampler, x, velocity, steps, times, index, noise):
    """x after a step; `noise(step)` draws what a stochastic sampler adds."""
    t = times[index][0]
    if (sampler or {}).get("kind") != "consistency":
        return x + velocity * 2.0 ** -steps[index][1]
    x = x + velocity * (1 - t)
    if index + 1 < len(times):
        after = times[index + 1][0]
        x = noise(index + 1) * (1 - after) + x * after
    return x


def rows_of(prompt, encoding, token_rows, most):
    """The rows of an embedding table, at most so many, of a prompt without emphasis and its tokens: ids, words and offsets. Of a
    compact vocabulary, words that it lacks have row 2, and punctuation that it lacks is left out."""
    ids, words, offsets = (list(part)[: most - 2] for part in encoding)
    if token_rows is None:
        return [START, *ids, END]
    row_of = {token: row for row, token in enumerate(token_rows) if token is not None}
    rows = []
    for word in dict.fromkeys(words):
        places = [place for place in range(len(ids)) if words[place] == word]
        own = [row_of.get(ids[place], 2) for place in places]
        text = prompt[offsets[places[0]][0] : offsets[places[-1]][1]]
        if 2 not in own or any(letter.isalnum() for letter in text):
            rows += own
    return [0, *rows, 1]


def without_emphasis(text):
    """The text without the brackets and numbers of weighted words: (glasses:1.3), ((red hair)). Other brackets, and those
    after a backslash, are part of the text."""
    left_out, opened = set(), []
    for place, letter in enumerate(text):
        if letter not in "()" or place > 0 and text[place - 1] == "\\":
            continue
        if letter == "(":
            opened.append([place, False])
            continue
        if not opened:
            continue
        start, is_doubled = opened.pop()
        words, colon, number = text[start + 1 : place].rpartition(":")
        if colon and is_weight(number) and any(letter.isalnum() for letter in words):
            left_out |= {start, *range(start + 1 + len(words), place + 1)}
            continue
        fills = bool(opened) and opened[-1][0] + 1 == start and text[place + 1 : place + 2] == ")"
        if fills:
            opened[-1][1] = True
        if fills or is_doubled:
            left_out |= {start, place}
    return "".join(letter for place, letter in enumerate(text) if place not in left_out)


def is_weight(text):
    """Whether a text of a few letters is a number."""
    try:
        return len(text) < 12 and "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False


def uniforms(seed, purpose, step, count):
    """Numbers from [0, 1) as Stride draws them: ChaCha with 8 rounds, keyed by seed, purpose and step."""
    blocks = (count * 2 + 15) // 16
    key = np.array([seed, purpose, step, 0], dtype="<u8").view("<u4")
    start = np.zeros((16, blocks), dtype=np.uint32)
    start[:4] = np.frombuffer(b"expand 32-byte k", dtype="<u4")[:, None]
    start[4:12] = key[:, None]
    start[12] = np.arange(blocks)
    x = start.copy()

    def quarter(a, b, c, d):
        for first, second, third, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[first] += x[second]
            x[third] ^= x[first]
            x[third] = (x[third] << np.uint32(turn)) | (x[third] >> np.uint32(32 - turn))

    for _ in range(4):
        for column in range(4):
            quarter(column, column + 4, column + 8, column + 12)
        for column in range(4):
            quarter(column, (column + 1) % 4 + 4, (column + 2) % 4 + 8, (column + 3) % 4 + 12)
    words = (x + start).T.reshape(-1).astype("<u4").view("<u8")[:count]
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def stride_noise(seed, step, shape):
    """Stride's noise: Box-Muller in 64 bits."""
    count = math.prod(shape)
    uniform = uniforms(seed, SAMPLING, step, (count + 1) // 2 * 2)
    radius, angle = np.sqrt(-2 * np.log(1 - uniform[0::2])), 2 * np.pi * uniform[1::2]
    values = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:count]
    return values.astype(np.float32).reshape(shape)
