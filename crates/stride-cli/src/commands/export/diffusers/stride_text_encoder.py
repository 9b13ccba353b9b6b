"""The text encoders of Stride: CLIP's, and a bidirectional one with learned queries in front of the caption."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin


class StrideTextEncoder(ModelMixin, ConfigMixin):
    """Captions as rows of the embedding table to tokens [B, L, E], their padding mask [B, L], and a vector [B, E]."""

    @register_to_config
    def __init__(
        self, vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads,
        max_position_embeddings=77, hidden_act="quick_gelu", layer_norm_eps=1e-5, eos_token_id=49407,
        projection_dim=None, num_queries=0,
    ):  # fmt: skip
        super().__init__()
        c = self.config
        self.queries = nn.Parameter(torch.zeros(num_queries, hidden_size)) if num_queries else None
        self.embeddings = Embeddings(c)
        self.encoder = Encoder(c)
        self.final_layer_norm = nn.LayerNorm(hidden_size, layer_norm_eps)
        self.text_projection = nn.Linear(hidden_size, projection_dim, bias=False) if projection_dim else None

    def forward(self, token_ids):
        """`token_ids` [B, L]: each row from its start to its end token, and end tokens behind."""
        batch, length = token_ids.shape
        end = self.config.eos_token_id
        # Old files say 2 and mean the highest id.
        is_end = token_ids == (token_ids.amax(1, keepdim=True) if end == 2 else end)
        end = is_end.int().argmax(1)
        padding = torch.arange(length, device=token_ids.device)[None] > end[:, None]
        x = self.embeddings(token_ids)
        if self.queries is None:
            x = self.final_layer_norm(self.encoder(x, None))
            pooled = x[torch.arange(batch, device=x.device), end]
            if self.text_projection is not None:
                pooled = self.text_projection(pooled)
            return x, padding, pooled
        count = len(self.queries)
        padding = F.pad(padding, (count, 0), value=False)
        x = torch.cat([self.queries[None].expand(batch, -1, -1), x], 1)
        x = self.final_layer_norm(self.encoder(x, ~padding[:, None, None, :]))
        return x, padding, x[:, :count].mean(1)


class Embeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.token_embedding = nn.Embedding(c.vocab_size, c.hidden_size)
        self.position_embedding = nn.Embedding(c.max_position_embeddings, c.hidden_size)

    def forward(self, token_ids):
        return self.token_embedding(token_ids) + self.position_embedding.weight[: token_ids.shape[1]]


class Encoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.num_hidden_layers))

    def forward(self, x, mask):
        for layer in self.layers:
            x = layer(x, mask)
        return x


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self_attn, self.mlp = SelfAttention(c), Mlp(c)
        self.layer_norm1 = nn.LayerNorm(c.hidden_size, c.layer_norm_eps)
        self.layer_norm2 = nn.LayerNorm(c.hidden_size, c.layer_norm_eps)

    def forward(self, x, mask):
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class SelfAttention(nn.Module):
    """Causal without a mask, as CLIP's is; with one, every token sees what the mask lets it see."""

    def __init__(self, c):
        super().__init__()
        self.heads = c.num_attention_heads
        self.q_proj, self.k_proj = nn.Linear(c.hidden_size, c.hidden_size), nn.Linear(c.hidden_size, c.hidden_size)
        self.v_proj, self.out_proj = nn.Linear(c.hidden_size, c.hidden_size), nn.Linear(c.hidden_size, c.hidden_size)

    def forward(self, x, mask):
        parts = (layer(x) for layer in (self.q_proj, self.k_proj, self.v_proj))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.fc1 = nn.Linear(c.hidden_size, c.intermediate_size)
        self.fc2 = nn.Linear(c.intermediate_size, c.hidden_size)
        self.is_quick = c.hidden_act == "quick_gelu"

    def forward(self, x):
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x) if self.is_quick else F.gelu(x))
