"""Stand-ins for what docs/celeba-hq.md needs, of the same shape and format, with random contents.

    python parity/celeba_stand_ins.py FOLDER [--pictures 64]

makes FOLDER/CelebAMask-HQ (pictures of 1024x1024 with CelebA's attributes in the layout of CelebAMask-HQ),
FOLDER/weights/sd-vae-ft-mse (saved by diffusers) and FOLDER/weights/clip-vit-base-patch32 (saved by transformers). Nothing
of it is committed; it shows that the commands run, and how fast.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from transformers import CLIPConfig, CLIPModel

# The order of CelebA's list, with how often each mark is set, in percent.
ATTRIBUTES = {
    "5_o_Clock_Shadow": 11, "Arched_Eyebrows": 27, "Attractive": 51, "Bags_Under_Eyes": 20, "Bald": 2, "Bangs": 15,
    "Big_Lips": 24, "Big_Nose": 23, "Black_Hair": 24, "Blond_Hair": 15, "Blurry": 5, "Brown_Hair": 21,
    "Bushy_Eyebrows": 14, "Chubby": 6, "Double_Chin": 5, "Eyeglasses": 7, "Goatee": 6, "Gray_Hair": 4,
    "Heavy_Makeup": 39, "High_Cheekbones": 46, "Male": 42, "Mouth_Slightly_Open": 48, "Mustache": 4,
    "Narrow_Eyes": 12, "No_Beard": 83, "Oval_Face": 28, "Pale_Skin": 4, "Pointy_Nose": 28, "Receding_Hairline": 8,
    "Rosy_Cheeks": 7, "Sideburns": 6, "Smiling": 48, "Straight_Hair": 21, "Wavy_Hair": 32, "Wearing_Earrings": 19,
    "Wearing_Hat": 5, "Wearing_Lipstick": 47, "Wearing_Necklace": 12, "Wearing_Necktie": 7, "Young": 77,
}


def write_pictures(folder, count, rng):
    (folder / "CelebA-HQ-img").mkdir(parents=True, exist_ok=True)
    lines = [str(count), " ".join(ATTRIBUTES)]
    shares = np.array(list(ATTRIBUTES.values()))
    for index in range(count):
        coarse = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((1024, 1024), Image.Resampling.BICUBIC)
        picture.save(folder / "CelebA-HQ-img" / f"{index}.jpg", quality=95)
        marks = np.where(rng.integers(0, 100, len(shares)) < shares, 1, -1)
        lines.append(f"{index}.jpg  " + " ".join(map(str, marks)))
    (folder / "CelebAMask-HQ-attribute-anno.txt").write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=64)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    write_pictures(arguments.folder / "CelebAMask-HQ", arguments.pictures, np.random.default_rng(0))
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, sample_size=256, block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2,
    )
    vae.save_pretrained(arguments.folder / "weights" / "sd-vae-ft-mse")
    # The defaults are ViT-B/32's.
    CLIPModel(CLIPConfig()).save_pretrained(arguments.folder / "weights" / "clip-vit-base-patch32")


if __name__ == "__main__":
    main()
