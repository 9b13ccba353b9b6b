"""Few-step text-to-image generation with models of Stride.

    import stride

    pipeline = stride.Pipeline.load()
    image = pipeline.generate("a man with glasses", steps=4, seed=42)[0]
    image.save("man.png")
"""

from stride._native import Image, Pipeline, Progress, StrideError, __version__, evaluate

__all__ = ["Image", "Pipeline", "Progress", "StrideError", "__version__", "evaluate"]
