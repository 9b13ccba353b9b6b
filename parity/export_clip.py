"""Outputs and gradients of small random CLIP text encoders of transformers, for `tests/it/clip.rs`.

Case `projected` is a CLIPTextModelWithProjection with quick_gelu; its keys start with `text_model.`. Case `plain` is a
CLIPTextModel with gelu and the old end token value 2 (pooling at the highest id); transformers 5 saves it without
`text_model.`, as its own checkpoints are.
"""

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

CRATE = Path(__file__).resolve().parent.parent / "crates" / "stride"
TOKEN_EMBEDDING = "embeddings.token_embedding.weight"
QUERY = "encoder.layers.0.self_attn.q_proj.weight"
# Captions of different length; behind the end token (39) stand end tokens, zeros or anything.
TOKEN_IDS = [
    [38, 5, 6, 7, 8, 9, 10, 11, 12, 39],
    [38, 20, 21, 39, 39, 39, 39, 39, 39, 39],
    [38, 30, 3, 17, 4, 39, 0, 0, 7, 0],
]


def random_model(kind, seed: int, **settings):
    torch.manual_seed(seed)
    config = CLIPTextConfig(
        vocab_size=40,
        hidden_size=24,
        intermediate_size=56,
        projection_dim=10,
        num_hidden_layers=2,
        num_attention_heads=3,
        max_position_embeddings=12,
        bos_token_id=38,
        attn_implementation="eager",
        **settings,
    )
    model = kind(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter) * 0.3
            parameter.copy_(1.0 + noise if "norm" in name and name.endswith("weight") else noise)
    return model


def export(case: str, model, tensors: dict, configs: dict) -> None:
    token_ids = torch.tensor(TOKEN_IDS)
    output = model(token_ids)
    pooled = output.text_embeds if hasattr(output, "text_embeds") else output.pooler_output
    direction = torch.randn_like(pooled)
    (pooled * direction).sum().backward()
    parameters = dict(model.named_parameters())
    prefix = "text_model." if hasattr(model, "text_model") else ""
    for name, parameter in parameters.items():
        tensors[f"{case}.weights.{name}"] = parameter.detach().contiguous()
    tensors |= {
        f"{case}.tokens": output.last_hidden_state.detach().contiguous(),
        f"{case}.pooled": pooled.detach().contiguous(),
        f"{case}.direction": direction,
        f"{case}.token_embedding_grad": parameters[prefix + TOKEN_EMBEDDING].grad.contiguous(),
        f"{case}.query_grad": parameters[prefix + QUERY].grad.contiguous(),
    }
    config = model.config.to_dict()
    config["architectures"] = [type(model).__name__]
    configs[case] = json.dumps(config)


def main() -> None:
    tensors, configs = {}, {}
    export("projected", random_model(CLIPTextModelWithProjection, 1, hidden_act="quick_gelu", eos_token_id=39), tensors, configs)
    export("plain", random_model(CLIPTextModel, 2, hidden_act="gelu", eos_token_id=2), tensors, configs)
    tensors["token_ids"] = torch.tensor(TOKEN_IDS, dtype=torch.int32)
    metadata = {"torch": torch.__version__, "transformers": transformers.__version__}
    metadata |= {f"{case}.config": config for case, config in configs.items()}
    path = CRATE / "tests" / "fixtures" / "clip.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata)
    print(f"{path}: {len(tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
