"""Outputs and gradients of a small random query text encoder, for `tests/it/text.rs`.

A separate implementation in PyTorch's own layers: `torch.nn.TransformerEncoderLayer` with `norm_first` over learned queries and the
caption's tokens, positions behind the end token hidden from the keys. Its parameters are renamed to Stride's.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

CRATE = Path(__file__).resolve().parent.parent / "crates" / "stride"
END = 1
CONFIG = {
    "architectures": ["QueryTextModel"],
    "vocab_size": 30,
    "num_queries": 3,
    "hidden_size": 24,
    "intermediate_size": 56,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "max_position_embeddings": 12,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "eos_token_id": END,
}
# Captions of different length; behind the end token stand end tokens or anything.
TOKEN_IDS = [
    [0, 5, 6, 7, 8, 9, 10, 11, 12, END],
    [0, 20, 21, END, END, END, END, END, END, END],
    [0, 29, 3, 17, 4, END, 0, 0, 7, 2],
]


class QueryText(nn.Module):
    def __init__(self):
        super().__init__()
        width = CONFIG["hidden_size"]
        self.queries = nn.Parameter(torch.empty(CONFIG["num_queries"], width))
        self.token_embedding = nn.Embedding(CONFIG["vocab_size"], width)
        self.position_embedding = nn.Embedding(CONFIG["max_position_embeddings"], width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, CONFIG["num_attention_heads"], CONFIG["intermediate_size"], dropout=0.0, activation="gelu",
                layer_norm_eps=CONFIG["layer_norm_eps"], batch_first=True, norm_first=True,
            )
            for _ in range(CONFIG["num_hidden_layers"])
        )
        self.final_layer_norm = nn.LayerNorm(width, CONFIG["layer_norm_eps"])

    def forward(self, token_ids):
        batch, length = token_ids.shape
        count = self.queries.shape[0]
        words = self.token_embedding(token_ids) + self.position_embedding.weight[:length]
        x = torch.cat([self.queries.expand(batch, -1, -1), words], dim=1)
        is_behind = (token_ids == END).cumsum(1) - (token_ids == END).int() > 0
        hidden = torch.cat([torch.zeros(batch, count, dtype=torch.bool), is_behind], dim=1)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=hidden)
        tokens = self.final_layer_norm(x)
        return tokens, hidden, tokens[:, :count].mean(1)

    def stride_names(self):
        """Parameters, and their gradients, by the names that Stride gives them."""

        def named(name, parameter):
            number, _, rest = name.removeprefix("layers.").partition(".")
            layer = f"encoder.layers.{number}."
            if name.startswith("layers.") and rest.startswith("self_attn.in_proj_"):
                kind = rest.removeprefix("self_attn.in_proj_")
                for part, values in zip("qkv", parameter.chunk(3)):
                    yield f"{layer}self_attn.{part}_proj.{kind}", values
            elif name.startswith("layers."):
                for theirs, ours in [("linear1", "mlp.fc1"), ("linear2", "mlp.fc2"), ("norm", "layer_norm")]:
                    rest = rest.replace(theirs, ours)
                yield layer + rest, parameter
            elif "embedding" in name:
                yield f"embeddings.{name}", parameter
            else:
                yield name, parameter

        weights, gradients = {}, {}
        for name, parameter in self.named_parameters():
            weights |= named(name, parameter.detach())
            gradients |= named(name, parameter.grad)
        return weights, gradients


def main() -> None:
    torch.manual_seed(1)
    model = QueryText()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter) * 0.3
            parameter.copy_(1.0 + noise if "norm" in name and name.endswith("weight") else noise)
    token_ids = torch.tensor(TOKEN_IDS)
    tokens, hidden, pooled = model(token_ids)
    # Of what is not hidden, since nobody reads the rest.
    direction = torch.randn_like(tokens) * ~hidden.unsqueeze(2)
    pooled_direction = torch.randn_like(pooled)
    ((tokens * direction).sum() + (pooled * pooled_direction).sum()).backward()
    weights, gradients = model.stride_names()
    tensors = {f"weights.{name}": value.contiguous() for name, value in weights.items()}
    for name in ["queries", "embeddings.token_embedding.weight", "encoder.layers.0.self_attn.q_proj.weight"]:
        tensors[f"gradients.{name}"] = gradients[name].contiguous()
    tensors |= {
        "token_ids": token_ids.to(torch.int32),
        "tokens": (tokens * ~hidden.unsqueeze(2)).detach().contiguous(),
        "shown": (~hidden).float(),
        "pooled": pooled.detach().contiguous(),
        "direction": direction,
        "pooled_direction": pooled_direction,
    }
    path = CRATE / "tests" / "fixtures" / "query_text.safetensors"
    save_file(tensors, path, {"torch": torch.__version__, "config": json.dumps(CONFIG)})
    print(f"{path}: {len(tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
