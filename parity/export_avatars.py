"""Writes the drawings on which the classifier of attributes is tested: a sheet, and what is on it.

    cargo build --release -p stride-avatars
    python export_avatars.py ../target/release/stride-avatars

The seed is one that no model is trained on.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

COLUMNS, ROWS, SIDE, SEED = 6, 4, 128, 99
FIXTURES = Path(__file__).parent.parent / "crates/stride-eval/tests/fixtures"


def main():
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "avatars"
        command = [sys.argv[1], "--out", out, "--count", COLUMNS * ROWS, "--seed", SEED, "--resolution", SIDE]
        subprocess.run(list(map(str, command)), check=True)
        lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
        sheet = Image.new("RGB", (COLUMNS * SIDE, ROWS * SIDE))
        for index, line in enumerate(lines):
            place = (index % COLUMNS * SIDE, index // COLUMNS * SIDE)
            sheet.paste(Image.open(out / line["file_name"]), place)
    sheet.save(FIXTURES / "avatars.png", optimize=True)
    kept = [{"text": line["text"], "attributes": line["attributes"]} for line in lines]
    (FIXTURES / "avatars.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))


if __name__ == "__main__":
    main()
