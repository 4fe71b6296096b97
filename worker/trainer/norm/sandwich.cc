#include "worker/trainer/norm/sandwich.h"

namespace mixln::worker::trainer::norm {

LayerForm SandwichForm() {
  LayerForm form;
  form.attention.before = "input_layernorm";
  form.attention.inner = "post_attention_layernorm";
  form.mlp.before = "pre_feedforward_layernorm";
  form.mlp.inner = "post_feedforward_layernorm";
  return form;
}

}  // namespace mixln::worker::trainer::norm
