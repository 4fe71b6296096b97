"""What the engine is compared with: Hugging Face's LlamaForCausalLM for pre, and for any placement a plain decoder written
from the formulas."""
import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM


def hugging_face(m, dtype=torch.float32, attention="sdpa"):
    config = LlamaConfig(
        vocab_size=m["vocab_size"], hidden_size=m["hidden_size"], intermediate_size=m["intermediate_size"],
        num_hidden_layers=m["layers"], num_attention_heads=m["heads"], num_key_value_heads=m["kv_heads"],
        max_position_embeddings=m["context"], rms_norm_eps=m["norm_eps"], tie_word_embeddings=m["tie_embeddings"],
        attention_bias=False, mlp_bias=False, use_cache=False, attn_implementation=attention,
        rope_parameters=dict(rope_type="default", rope_theta=m["rope_theta"]))
    return LlamaForCausalLM(config).to(dtype)


def weights_of(m, seed=0, spread=0.1):
    """Random weights by name; norm weights away from 1, so that a test sees them."""
    generator = torch.Generator().manual_seed(seed)
    hidden, inner = m["hidden_size"], m["intermediate_size"]
    kv = hidden // m["heads"] * m["kv_heads"]
    weights = {}

    def matrix(name, rows, columns):
        weights[name + ".weight"] = spread * torch.randn(rows, columns, generator=generator)

    def norm(name):
        weights[name + ".weight"] = 1 + 0.2 * torch.randn(hidden, generator=generator)

    matrix("model.embed_tokens", m["vocab_size"], hidden)
    for i, placement in enumerate(m["placements"]):
        at = f"model.layers.{i}."
        matrix(at + "self_attn.q_proj", hidden, hidden)
        matrix(at + "self_attn.k_proj", kv, hidden)
        matrix(at + "self_attn.v_proj", kv, hidden)
        matrix(at + "self_attn.o_proj", hidden, hidden)
        matrix(at + "mlp.gate_proj", inner, hidden)
        matrix(at + "mlp.up_proj", inner, hidden)
        matrix(at + "mlp.down_proj", hidden, inner)
        norm(at + "post_attention_layernorm")
        norm(at + ("input_layernorm" if placement == "pre" else "post_feedforward_layernorm"))
    norm("model.norm")
    if not m["tie_embeddings"]:
        matrix("lm_head", m["vocab_size"], hidden)
    return weights


def load(hf, weights):
    hf.load_state_dict({n: w.clone() for n, w in weights.items()}, strict=False)
    return hf


class Plain:
    """A decoder as plain functions of the weights' dict, in the weights' dtype."""

    def __init__(self, m, weights):
        self.m, self.w = m, weights

    def norm(self, x, name):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.m["norm_eps"]) * self.w[name + ".weight"]

    def linear(self, x, name):
        return x @ self.w[name + ".weight"].T

    def rotate(self, x):  # [batch, heads, time, size]
        size, time = x.shape[-1], x.shape[-2]
        frequency = self.m["rope_theta"] ** (-torch.arange(0, size, 2, dtype=x.dtype) / size)
        angle = torch.arange(time, dtype=x.dtype)[:, None] * frequency[None, :]
        a, b = x[..., :size // 2], x[..., size // 2:]
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    def attention(self, x, at):
        batch, time, hidden = x.shape
        heads, kv_heads = self.m["heads"], self.m["kv_heads"]
        size = hidden // heads

        def split(name, count):
            return self.linear(x, at + name).view(batch, time, count, size).transpose(1, 2)

        q, k = self.rotate(split("q_proj", heads)), self.rotate(split("k_proj", kv_heads))
        k, v = (t.repeat_interleave(heads // kv_heads, 1) for t in (k, split("v_proj", kv_heads)))
        scores = q @ k.transpose(-1, -2) / size ** 0.5
        future = torch.ones(time, time, dtype=torch.bool).triu(1)
        out = scores.masked_fill(future, float("-inf")).softmax(-1) @ v
        return self.linear(out.transpose(1, 2).reshape(batch, time, hidden), at + "o_proj")

    def mlp(self, x, at):
        return self.linear(F.silu(self.linear(x, at + "gate_proj")) * self.linear(x, at + "up_proj"), at + "down_proj")

    def layer(self, x, i, placement):
        at = f"model.layers.{i}."
        if placement == "pre":  # x + f(N(x))
            x = x + self.attention(self.norm(x, at + "input_layernorm"), at + "self_attn.")
            return x + self.mlp(self.norm(x, at + "post_attention_layernorm"), at + "mlp.")
        if placement == "post":  # N(x + f(x))
            x = self.norm(x + self.attention(x, at + "self_attn."), at + "post_attention_layernorm")
            return self.norm(x + self.mlp(x, at + "mlp."), at + "post_feedforward_layernorm")
        raise ValueError(placement)

    def logits(self, tokens):
        x = self.w["model.embed_tokens.weight"][tokens]
        for i, placement in enumerate(self.m["placements"]):
            x = self.layer(x, i, placement)
        head = "model.embed_tokens" if self.m["tie_embeddings"] else "lm_head"
        return self.linear(self.norm(x, "model.norm"), head)


def mean_loss(logits, batch):
    losses = F.cross_entropy(logits.flatten(0, 1), batch["tokens"][:, 1:].flatten(), reduction="none")
    if batch["mask"] is None:
        return losses.mean()
    keep = batch["mask"].flatten().to(losses.dtype)
    return (losses * keep).sum() / keep.sum()


def plain_weights(weights, dtype):
    return {n: w.to(dtype).clone().requires_grad_(True) for n, w in weights.items()}
