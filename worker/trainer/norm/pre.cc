#include "worker/trainer/norm/pre.h"

namespace mixln::worker::trainer::norm {

LayerForm PreForm() {
  LayerForm form;
  form.attention.before = "input_layernorm";
  form.mlp.before = "post_attention_layernorm";
  return form;
}

}  // namespace mixln::worker::trainer::norm
