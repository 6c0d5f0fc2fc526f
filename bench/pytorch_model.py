"""The memory model as a PyTorch user would write it for speed, fp32: the peer of bench/compare_pytorch.py.

B batch, T positions, M = B * T, C hidden size, H memory heads, n sub-keys, k top_k, N = n * n slots.
torch.nn modules, fused attention and rms_norm, topk twice for the product keys, embedding_bag for the values.
The reference of the tests is another model (tests/fixtures/reference_model.py): clear and in double, but slow.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn


def rotary_table(length, dim, theta):
    frequency = theta ** (-torch.arange(dim // 2, dtype=torch.float64) / (dim // 2))
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    angle = torch.cat((angle, angle), -1)
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def memory_layers(config):
    return config.get("memory", {}).get("layers", [])


class LoraLinear(nn.Linear):
    """A linear layer; with adapters y = W x + scale * B (A x)."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, bias=False)
        self.lora_A = self.lora_B = None

    def adapt(self, a, b, scale):
        self.lora_A, self.lora_B, self.scale = nn.Parameter(a), nn.Parameter(b), scale

    def forward(self, x):
        y = F.linear(x, self.weight)
        if self.lora_A is None:
            return y
        return y + self.scale * F.linear(F.linear(x, self.lora_A), self.lora_B)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden = config["hidden_size"]
        self.heads, self.kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        self.dim = config.get("head_dim") or hidden // self.heads
        self.q_proj = LoraLinear(hidden, self.heads * self.dim)
        self.k_proj = LoraLinear(hidden, self.kv_heads * self.dim)
        self.v_proj = LoraLinear(hidden, self.kv_heads * self.dim)
        self.o_proj = LoraLinear(self.heads * self.dim, hidden)

    def forward(self, x, cos, sin):
        B, T, _ = x.shape
        q = rotate(self.q_proj(x).view(B, T, self.heads, self.dim).transpose(1, 2), cos, sin)
        k = rotate(self.k_proj(x).view(B, T, self.kv_heads, self.dim).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(B, T, self.kv_heads, self.dim).transpose(1, 2)
        grouped = self.heads != self.kv_heads
        if grouped and q.dtype == torch.float32 and q.is_cuda:
            # No fused kernel of PyTorch takes both fp32 and enable_gqa: this is its faster way there.
            k, v = (x.repeat_interleave(self.heads // self.kv_heads, 1) for x in (k, v))
            grouped = False
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, -1))


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        self.gate_proj, self.up_proj = LoraLinear(hidden, inner), LoraLinear(hidden, inner)
        self.down_proj = LoraLinear(inner, hidden)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Memory(nn.Module):
    """The product-key memory layer. `reader` computes the weighted bag; the ways of sparse finetuning set their own."""

    def __init__(self, config):
        super().__init__()
        memory, hidden = config["memory"], config["hidden_size"]
        self.heads, self.n, self.k = memory["heads"], memory["sub_keys"], memory["top_k"]
        self.half, self.eps = memory["key_dim"] // 2, memory["norm_eps"]
        self.query = nn.Linear(hidden, self.heads * memory["key_dim"], bias=False)
        self.keys = nn.Parameter(torch.empty(self.heads, 2, self.n, self.half))
        self.values = nn.Parameter(torch.empty(memory["slots"], memory["value_dim"]))
        self.gate = nn.Linear(hidden, memory["value_dim"], bias=False)
        self.output = nn.Linear(memory["value_dim"], hidden, bias=False)
        self.reader = lambda slots, weights: F.embedding_bag(
            slots, self.values, mode="sum", per_sample_weights=weights)

    def lookup(self, x):
        """x [M, C] -> slots [M, H * k], weights [M, H * k]. Scores stay fp32 under autocast: in bf16 most queries have ties."""
        q = self.query(x).float()
        with torch.autocast(x.device.type, enabled=False):
            return self.select(q)

    def select(self, q):
        M = q.shape[0]
        q = F.rms_norm(q.view(M, self.heads * 2, self.half), (self.half,), eps=self.eps)
        keys = self.keys.view(self.heads * 2, self.n, self.half)
        scores = torch.bmm(q.transpose(0, 1), keys.transpose(1, 2)).view(self.heads, 2, M, self.n)
        best, index = scores.topk(self.k)
        sums = (best[:, 0, :, :, None] + best[:, 1, :, None, :]).view(self.heads, M, self.k * self.k)
        top, pair = sums.topk(self.k)
        first = index[:, 0].gather(-1, pair // self.k)
        second = index[:, 1].gather(-1, pair % self.k)
        slots, weights = first * self.n + second, top.softmax(-1)
        flat = lambda t: t.transpose(0, 1).reshape(M, self.heads * self.k)
        return flat(slots), flat(weights)

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        y = self.reader(*self.lookup(flat))
        return self.output(F.silu(self.gate(flat)) * y).view_as(x)


class Block(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        self.eps = config["rms_norm_eps"]
        self.input_layernorm = nn.Parameter(torch.ones(config["hidden_size"]))
        self.post_attention_layernorm = nn.Parameter(torch.ones(config["hidden_size"]))
        self.self_attn = Attention(config)
        self.mlp = Memory(config) if layer in memory_layers(config) else FeedForward(config)

    def forward(self, x, cos, sin):
        norm = lambda t, gain: F.rms_norm(t, gain.shape, gain, self.eps)
        x = x + self.self_attn(norm(x, self.input_layernorm), cos, sin)
        return x + self.mlp(norm(x, self.post_attention_layernorm))


class MemoryLanguageModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        hidden, vocabulary = config["hidden_size"], config["vocab_size"]
        self.embed_tokens = nn.Embedding(vocabulary, hidden)
        self.layers = nn.ModuleList(Block(config, i) for i in range(config["num_hidden_layers"]))
        self.norm = nn.Parameter(torch.ones(hidden))
        self.lm_head = nn.Linear(hidden, vocabulary, bias=False)
        if config.get("tie_word_embeddings"):
            self.lm_head.weight = self.embed_tokens.weight
        dim = config.get("head_dim") or hidden // config["num_attention_heads"]
        cos, sin = rotary_table(config["max_position_embeddings"], dim, config["rope_theta"])
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)

    @property
    def memory(self):
        """The memory layer; None where the model has none."""
        layers = memory_layers(self.config)
        return self.layers[layers[0]].mlp if layers else None

    def own_name(self, name):
        """The parameter here that a checkpoint calls `name`."""
        if name == "model.memory.values":
            return f"layers.{memory_layers(self.config)[0]}.mlp.values"
        name = name.removeprefix("model.").replace(".memory.", ".mlp.")
        return name.removesuffix(".weight") if name.endswith("norm.weight") else name

    @torch.no_grad()
    def load(self, tensors):
        parameters = dict(self.named_parameters())
        for name, array in tensors.items():
            parameters.pop(self.own_name(name)).copy_(torch.from_numpy(array))
        assert not parameters, f"not in the checkpoint: {sorted(parameters)}"

    def linears(self):
        """Name in the checkpoint and module of every attention and feed-forward matrix."""
        return [("model." + name, module) for name, module in self.named_modules() if isinstance(module, LoraLinear)]

    def loss(self, tokens, targets):
        T = tokens.shape[1]
        x, cos, sin = self.embed_tokens(tokens), self.cos[:T], self.sin[:T]
        for layer in self.layers:
            x = layer(x, cos, sin)
        valid = targets.flatten() >= 0
        x = x.flatten(0, 1)[valid]  # the head is the widest matrix: not for padding
        logits = self.lm_head(F.rms_norm(x, self.norm.shape, self.norm, self.config["rms_norm_eps"]))
        return F.cross_entropy(logits, targets.flatten()[valid])
