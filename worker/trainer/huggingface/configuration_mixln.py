"""The configuration of a MixLN model: a LLaMA decoder whose norms sit where `layer_placements` says."""
from transformers import PretrainedConfig


class MixlnConfig(PretrainedConfig):
    model_type = "mixln"

    def __init__(self, vocab_size=32000, hidden_size=512, intermediate_size=1368, num_hidden_layers=12, num_attention_heads=8,
                 num_key_value_heads=None, max_position_embeddings=256, rms_norm_eps=1e-6, rope_theta=10000.0,
                 layer_placements=None, norm_kind="rmsnorm", use_cache=False, tie_word_embeddings=False, **kwargs):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads or num_attention_heads
        self.max_position_embeddings = max_position_embeddings
        self.rms_norm_eps = rms_norm_eps
        self.rope_theta = rope_theta
        # Of each layer, the first first: pre, post, sandwich, deepnorm, admin, lns, group, dlcl.
        self.layer_placements = list(layer_placements or ["pre"] * num_hidden_layers)
        if len(self.layer_placements) != num_hidden_layers:
            raise ValueError(f"layer_placements names {len(self.layer_placements)} layers, not {num_hidden_layers}")
        self.norm_kind = norm_kind  # rmsnorm, or layernorm without a bias
        super().__init__(use_cache=use_cache, tie_word_embeddings=tie_word_embeddings, **kwargs)
