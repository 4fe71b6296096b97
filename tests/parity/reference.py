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


# Names of a layer's norms by placement.
LAYER_NORMS = dict(
    pre=["input_layernorm", "post_attention_layernorm"],
    post=["post_attention_layernorm", "post_feedforward_layernorm"],
    sandwich=["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"],
    deepnorm=["post_attention_layernorm", "post_feedforward_layernorm"],
    admin=["post_attention_layernorm", "post_feedforward_layernorm"],
    lns=["input_layernorm", "post_attention_layernorm"],
    group=["input_layernorm", "post_attention_layernorm"],
    dlcl=["input_layernorm", "post_attention_layernorm", "output_layernorm"])


def weights_of(m, seed=0, spread=0.1):
    """Random weights by name; norm weights, omega and the sums' weights away from their start, so that a test sees them."""
    generator = torch.Generator().manual_seed(seed)
    hidden, inner = m["hidden_size"], m["intermediate_size"]
    kv = hidden // m["heads"] * m["kv_heads"]
    weights = {}

    def matrix(name, rows, columns):
        weights[name + ".weight"] = spread * torch.randn(rows, columns, generator=generator)

    def vector(name, size=hidden, start=1.0):
        weights[name + ".weight"] = start + 0.2 * torch.randn(size, generator=generator)

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
        for name in LAYER_NORMS[placement]:
            vector(at + name)
        if placement == "admin":
            vector(at + "attention_omega")
            vector(at + "mlp_omega")
        if placement == "dlcl":
            vector(at + "output_sum", i + 1, 1 / (i + 1))
    vector("model.norm")
    if m["placements"][0] == "dlcl":
        vector("model.output_sum", m["layers"] + 1, 1 / (m["layers"] + 1))
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

    def norm(self, x, name, groups=1):
        """RMSNorm, or LayerNorm without a bias, over each of `groups` groups of neighbouring channels."""
        grouped = x.unflatten(-1, (groups, -1))
        if self.m["norm_kind"] == "layernorm":
            grouped = grouped - grouped.mean(-1, keepdim=True)
        normed = grouped / torch.sqrt(grouped.pow(2).mean(-1, keepdim=True) + self.m["norm_eps"])
        return normed.flatten(-2) * self.w[name + ".weight"]

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

    def sublayers(self, i):
        """Each sublayer of layer i: a function of the stream that gives the two summands and what is done to their sum."""
        at = f"model.layers.{i}."
        placement = self.m["placements"][i]
        deep = (2 * self.m["layers"]) ** 0.25

        def sublayer(f, before, after, omega, peri_before):
            def norm(name, groups=1):
                return lambda x: self.norm(x, at + name, groups)

            def same(x):
                return x

            return {
                "pre": lambda x: (x, f(norm(before)(x)), same),  # x + f(N(x))
                "dlcl": lambda x: (x, f(norm(before)(x)), same),
                "post": lambda x: (x, f(x), norm(after)),  # N(x + f(x))
                "sandwich": lambda x: (x, norm(after)(f(norm(peri_before)(x))), same),  # x + N2(f(N1(x)))
                "deepnorm": lambda x: (deep * x, f(x), norm(after)),  # N(c x + f(x))
                "admin": lambda x: (self.w[at + omega + ".weight"] * x, f(x), norm(after)),  # N(omega x + f(x))
                "lns": lambda x: (x, f(norm(before)(x) / (i + 1) ** 0.5), same),  # x + f(N(x) / sqrt(l))
                "group": lambda x: (x, f(norm(before, groups=8)(x)), same),
            }[placement]

        return [sublayer(lambda x: self.attention(x, at + "self_attn."), "input_layernorm", "post_attention_layernorm",
                         "attention_omega", "input_layernorm"),
                sublayer(lambda x: self.mlp(x, at + "mlp."), "post_attention_layernorm", "post_feedforward_layernorm",
                         "mlp_omega", "pre_feedforward_layernorm")]

    def layer(self, x, i):
        for sublayer in self.sublayers(i):
            stream, branch, after = sublayer(x)
            x = after(stream + branch)
        return x

    def dlcl(self, x):
        """The input of layer l + 1 is the sum over k <= l of W[l, k] N_k(y_k), and so is the final norm's."""
        outputs = [x]
        layers = self.m["layers"]
        for i in range(layers):
            row = self.w[f"model.layers.{i}.output_sum.weight"]
            y = self.layer(sum(w * o for w, o in zip(row, outputs, strict=True)), i)
            outputs.append(self.norm(y, f"model.layers.{i}.output_layernorm"))
        return sum(w * o for w, o in zip(self.w["model.output_sum.weight"], outputs, strict=True))

    def decode(self, tokens):
        x = self.w["model.embed_tokens.weight"][tokens]
        if self.m["placements"][0] == "dlcl":
            return self.dlcl(x)
        for i in range(self.m["layers"]):
            x = self.layer(x, i)
        return x

    def logits(self, tokens):
        head = "model.embed_tokens" if self.m["tie_embeddings"] else "lm_head"
        return self.linear(self.norm(self.decode(tokens), "model.norm"), head)


def admin_omegas(m, weights, batches):
    """Admin's initial omegas by name: 1 for the first sublayer of the model, then the root of Var(omega x) + Var(f) of the
    sublayer before, over all elements of all batches."""
    plain = Plain(m, dict(weights))
    streams = [plain.w["model.embed_tokens.weight"][b["tokens"][:, :-1]] for b in batches]
    omegas, omega = {}, 1.0
    for i in range(m["layers"]):
        for sublayer, name in zip(plain.sublayers(i), ["attention_omega", "mlp_omega"], strict=True):
            name = f"model.layers.{i}.{name}.weight"
            if name in plain.w:
                omegas[name] = plain.w[name] = torch.full_like(plain.w[name], omega)
            parts = [sublayer(x) for x in streams]
            omega = sum(torch.cat([part[k].flatten() for part in parts]).var(correction=0) for k in (0, 1)).sqrt().item()
            streams = [after(stream + branch) for stream, branch, after in parts]
    return omegas


def mean_loss(logits, batch):
    losses = F.cross_entropy(logits.flatten(0, 1), batch["tokens"][:, 1:].flatten(), reduction="none")
    if batch["mask"] is None:
        return losses.mean()
    keep = batch["mask"].flatten().to(losses.dtype)
    return (losses * keep).sum() / keep.sum()


def plain_weights(weights, dtype):
    return {n: w.to(dtype).clone().requires_grad_(True) for n, w in weights.items()}
