"""What the package does; `help()` shows the same in Python."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Literal, final

import numpy
from numpy.typing import DTypeLike, NDArray
from PIL.Image import Image as PilImage

__all__ = ["Image", "Pipeline", "Progress", "StrideError", "__version__", "evaluate"]

__version__: str

class StrideError(Exception):
    """A model, image or data set that cannot be used; the message says what was expected, and what to do.

    Arguments that no model can take raise ValueError instead.
    """

@final
class Image:
    """An image and how it was made. numpy.asarray(image) works, and notebooks show it."""

    @property
    def width(self) -> int:
        """Pixels in a row."""

    @property
    def height(self) -> int:
        """Rows."""

    @property
    def info(self) -> dict[str, Any]:
        """How it was made, as files tell it: seed, prompt, completed_prompt (what the model drew instead, if anything),
        negative_prompt, steps, cfg_scale, strength, width, height, dtype, model, model_hash, version. Empty for previews."""

    def to_pil(self) -> PilImage:
        """As an image of Pillow, in RGB."""

    def to_numpy(self) -> NDArray[numpy.uint8]:
        """As an array of shape (height, width, 3), a copy that may be written to."""

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]: ...
    def encode(self, format: Literal["png", "jpg", "jpeg", "webp"] = "png", quality: int = 90) -> bytes:
        """The bytes of a file, the same that `stride generate` writes. `quality`, 1 to 100, is for JPEG; WebP is lossless."""

    def save(self, path: str | PathLike[str], quality: int = 90) -> None:
        """Writes a file, PNG, JPEG or WebP by its ending, which says how the image was made. The file is complete or
        absent, and one of its name is replaced."""

    def _repr_png_(self) -> bytes: ...

@final
class Progress:
    """The state after a step of one image."""

    @property
    def image(self) -> int:
        """The image, from 0."""

    @property
    def images(self) -> int:
        """Images in all."""

    @property
    def step(self) -> int:
        """Steps of it that are done, from 1."""

    @property
    def steps(self) -> int:
        """Steps of it in all."""

    def preview(self) -> Image:
        """The image as it is now; decoding it takes about as long as a step."""

@final
class Pipeline:
    """A model that draws images from prompts. Several threads may draw with one at the same time."""

    @classmethod
    def load(
        cls,
        path: str | PathLike[str] | None = None,
        *,
        device: str = "auto",
        dtype: Literal["f32", "bf16", "f16"] = "f32",
    ) -> Pipeline:
        """Loads the model in a folder, or the one inside this package.

        `device` is auto, cpu, gpu or gpu:N, as in `stride doctor`; packages are built for the processor alone unless they
        say otherwise. `dtype` is what products round their inputs to.
        """

    @property
    def name(self) -> str:
        """A short name, such as avatars."""

    @property
    def description(self) -> str:
        """What the model draws, and what it was trained on; may be empty."""

    @property
    def resolution(self) -> int:
        """Height and width of its images."""

    @property
    def default_steps(self) -> int:
        """Steps where none are asked for."""

    @property
    def default_cfg_scale(self) -> float:
        """Guidance scale where none is asked for; 1 disables guidance."""

    @property
    def hash(self) -> str:
        """The start of the SHA-256 of its weights."""

    def generate(
        self,
        prompt: str | Sequence[str],
        *,
        steps: int | None = None,
        seed: int | None = None,
        cfg_scale: float | None = None,
        count: int = 1,
        negative_prompt: str | None = None,
        as_typed: bool = False,
        init_image: Image | PilImage | NDArray[numpy.uint8] | str | PathLike[str] | None = None,
        strength: float | None = None,
        callback: Callable[[Progress], object] | None = None,
    ) -> list[Image]:
        """Draws images, `count` of every prompt; image k of a prompt has `seed` + k, and without `seed` a random one.

        The same arguments draw what `stride generate` draws, to the byte. `steps` is 1 to 128, `cfg_scale` 0 to 100. A
        prompt is completed by a model that can, unless `as_typed` is set. With `init_image` and `strength` (more than 0, at
        most 1), drawing begins at an image, of whose way from noise that fraction is drawn anew.

        The lock of the interpreter is free while it draws. `callback` is called after every step; what it raises ends the
        drawing, as Ctrl-C does. What the model does not understand of a prompt becomes a UserWarning.

        Raises ValueError for arguments that the model cannot take, and StrideError for files that cannot be read.
        """

    def evaluate(
        self,
        data: str | PathLike[str],
        *,
        heldout: str | PathLike[str] | None = None,
        steps: Sequence[int] | None = None,
        samples: int = 1000,
        seed: int = 0,
        cfg_scale: float | None = None,
        inception: str | PathLike[str] | None = None,
        classifier: str | PathLike[str] | None = None,
        callback: Callable[[str, float], object] | None = None,
    ) -> dict[str, Any]:
        """Compares images of the first captions of a data folder with the folder's own, at every step count: 1, 2, 4, 8, 16,
        32 and 128 unless `steps` says otherwise.

        Returns what `stride evaluate --data DATA --json` prints. Distances are those of the attribute classifier inside this
        package, or of `classifier`, or of Inception-v3 where `inception` names its weights. `callback` gets the name of the
        images at work and the fraction of all work that is done.
        """

    def evaluate_prompts(
        self,
        prompts: str | PathLike[str],
        *,
        steps: Sequence[int] | None = None,
        seeds: int = 4,
        seed: int = 0,
        cfg_scale: float | None = None,
        classifier: str | PathLike[str] | None = None,
        callback: Callable[[str, float], object] | None = None,
    ) -> dict[str, Any]:
        """Draws the prompts of a file, each with `seeds` seeds at every step count, and counts which of the attributes that
        a prompt asks for the images show. Returns what `stride evaluate --prompts FILE --json` prints."""

def evaluate(
    samples: str | PathLike[str],
    reference: str | PathLike[str],
    *,
    inception: str | PathLike[str] | None = None,
    classifier: str | PathLike[str] | None = None,
    callback: Callable[[str, float], object] | None = None,
) -> dict[str, Any]:
    """Compares two sets of images, each a folder or an .npz archive; the second one may be an .npz file of mu and sigma.

    Returns what `stride evaluate SAMPLES REFERENCE --json` prints. `callback` gets the name of the set and the fraction of it
    that is done.
    """
