"""A LLaMA decoder (RMSNorm, rotary positions, SwiGLU, no biases) with its norms in other places.

Every sublayer f, attention or the MLP, is one form: x' = C(w*x + B(f(a*A(x)))), with A, B, C the identity or a norm, w a number or
a learned vector, a a number. form() says what they are for each placement.
"""
import torch
import torch.nn.functional as F
from torch import nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from .configuration_mixln import MixlnConfig

GROUPS = 8  # of the channels, in the placement "group"
PRE = dict(before=("input_layernorm", "post_attention_layernorm"))
POST = dict(after=("post_attention_layernorm", "post_feedforward_layernorm"))
FORMS = {
    "pre": PRE,            # x + f(N(x))
    "post": POST,          # N(x + f(x))
    "sandwich": dict(      # x + N2(f(N1(x)))
        before=("input_layernorm", "pre_feedforward_layernorm"), inner=("post_attention_layernorm", "post_feedforward_layernorm")),
    "deepnorm": POST,      # N((2L)^(1/4) x + f(x))
    "admin": dict(POST, omega=("attention_omega", "mlp_omega")),  # N(omega x + f(x))
    "lns": PRE,            # x + f(N(x) / sqrt(l)), l the layer from 1
    "group": PRE,          # pre, with norms over groups of channels
    "dlcl": PRE,           # pre, on a learned sum of all outputs before it
}


def form(placement, layer, layers):
    """Of both sublayers: names of the modules (None: none) and the numbers a and w. `layer` counts from 0."""
    if placement not in FORMS:
        raise ValueError(f"unknown placement {placement!r}; known are {', '.join(FORMS)}")
    names = FORMS[placement]
    return [dict(before=names.get("before", (None, None))[i], inner=names.get("inner", (None, None))[i],
                 after=names.get("after", (None, None))[i], omega=names.get("omega", (None, None))[i],
                 groups=GROUPS if placement == "group" else 1,
                 input_scale=(layer + 1) ** -0.5 if placement == "lns" else 1.0,
                 stream_scale=(2 * layers) ** 0.25 if placement == "deepnorm" else 1.0) for i in (0, 1)]


class MixlnVector(nn.Module):
    """Learned numbers: omega, or the weights of a sum."""

    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))


class MixlnNorm(nn.Module):
    """RMSNorm, or LayerNorm without a bias, over each of `groups` groups of neighbouring channels; statistics in fp32."""

    def __init__(self, config, groups=1):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.hidden_size))
        self.eps, self.centered, self.groups = config.rms_norm_eps, config.norm_kind == "layernorm", groups

    def forward(self, x):
        y = x.float().unflatten(-1, (self.groups, -1))
        if self.centered:
            y = y - y.mean(-1, keepdim=True)
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return (y.flatten(-2) * self.weight.float()).to(x.dtype)


def rotate(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class MixlnAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.size = config.hidden_size // self.heads
        self.q_proj = nn.Linear(config.hidden_size, self.heads * self.size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, self.kv_heads * self.size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, self.kv_heads * self.size, bias=False)
        self.o_proj = nn.Linear(self.heads * self.size, config.hidden_size, bias=False)

    def forward(self, x, cos, sin, mask):
        batch, time, _ = x.shape

        def split(linear, heads):
            return linear(x).view(batch, time, heads, self.size).transpose(1, 2)

        q, k = rotate(split(self.q_proj, self.heads), cos, sin), rotate(split(self.k_proj, self.kv_heads), cos, sin)
        k, v = (t.repeat_interleave(self.heads // self.kv_heads, dim=1) for t in (k, split(self.v_proj, self.kv_heads)))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.o_proj(y.transpose(1, 2).reshape(batch, time, -1))


class MixlnMLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class MixlnLayer(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        self.self_attn = MixlnAttention(config)
        self.mlp = MixlnMLP(config)
        placement = config.layer_placements[layer]
        self.forms = form(placement, layer, config.num_hidden_layers)
        for f in self.forms:
            for place in ("before", "inner", "after"):
                if f[place]:
                    self.add_module(f[place], MixlnNorm(config, f["groups"] if place == "before" else 1))
            if f["omega"]:
                self.add_module(f["omega"], MixlnVector(config.hidden_size))
        self.sums_outputs = placement == "dlcl"
        if self.sums_outputs:
            self.output_sum = MixlnVector(layer + 1)
            self.output_layernorm = MixlnNorm(config)

    def norm(self, name, x):
        return getattr(self, name)(x) if name else x

    def forward(self, x, cos, sin, mask):
        for f, sublayer in zip(self.forms, (lambda y: self.self_attn(y, cos, sin, mask), self.mlp), strict=True):
            y = self.norm(f["inner"], sublayer(f["input_scale"] * self.norm(f["before"], x)))
            stream = getattr(self, f["omega"]).weight * x if f["omega"] else f["stream_scale"] * x
            x = self.norm(f["after"], stream + y)
        return x


class MixlnPreTrainedModel(PreTrainedModel):
    config_class = MixlnConfig
    base_model_prefix = "model"
    _no_split_modules = ["MixlnLayer"]
    _supports_sdpa = True

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, (MixlnNorm, MixlnVector)):
            nn.init.ones_(module.weight)


class MixlnModel(MixlnPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(MixlnLayer(config, i) for i in range(config.num_hidden_layers))
        self.norm = MixlnNorm(config)
        self.sums_outputs = "dlcl" in config.layer_placements
        if self.sums_outputs:
            self.output_sum = MixlnVector(config.num_hidden_layers + 1)
        self.post_init()

    def rotation(self, positions, dtype):
        """cos and sin, [batch, 1, time, head size]."""
        size = self.config.hidden_size // self.config.num_attention_heads
        powers = torch.arange(0, size, 2, dtype=torch.float32, device=positions.device) / size
        angles = positions[:, None, :, None].float() * self.config.rope_theta ** -powers
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos().to(dtype), angles.sin().to(dtype)

    def forward(self, input_ids=None, attention_mask=None, position_ids=None, inputs_embeds=None):
        x = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        batch, time, _ = x.shape
        if position_ids is None:
            position_ids = torch.arange(time, device=x.device)[None]
        mask = None  # causal
        if attention_mask is not None and not bool(attention_mask.all()):
            causal = torch.ones(time, time, dtype=torch.bool, device=x.device).tril()
            # Padding sees itself, so that its rows have a softmax.
            itself = torch.eye(time, dtype=torch.bool, device=x.device)
            mask = (causal & attention_mask[:, None, None, :].bool()) | itself
        cos, sin = self.rotation(position_ids, x.dtype)
        if not self.sums_outputs:
            for layer in self.layers:
                x = layer(x, cos, sin, mask)
            return self.norm(x)
        outputs = [x]
        for layer in self.layers:
            y = layer(weighted_sum(layer.output_sum, outputs), cos, sin, mask)
            outputs.append(layer.output_layernorm(y))
        return self.norm(weighted_sum(self.output_sum, outputs))


def weighted_sum(weights, outputs):
    return sum(w * y for w, y in zip(weights.weight, outputs, strict=True))


class MixlnForCausalLM(MixlnPreTrainedModel, GenerationMixin):
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config):
        super().__init__(config)
        self.model = MixlnModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self):
        return self.model.embed_tokens

    def set_input_embeddings(self, value):
        self.model.embed_tokens = value

    def get_output_embeddings(self):
        return self.lm_head

    def set_output_embeddings(self, value):
        self.lm_head = value

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **kwargs):
        """The whole sequence at each step: there is no cache of keys and values."""
        positions = None
        if attention_mask is not None:
            positions = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
        return dict(input_ids=input_ids, attention_mask=attention_mask, position_ids=positions)

    def forward(self, input_ids=None, attention_mask=None, position_ids=None, inputs_embeds=None, labels=None, **kwargs):
        logits = self.lm_head(self.model(input_ids, attention_mask, position_ids, inputs_embeds))
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100)
        return CausalLMOutput(loss=loss, logits=logits)
