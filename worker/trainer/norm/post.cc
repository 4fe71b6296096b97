#include "worker/trainer/norm/post.h"

namespace mixln::worker::trainer::norm {

LayerForm PostForm() {
  LayerForm form;
  form.attention.after = "post_attention_layernorm";
  form.mlp.after = "post_feedforward_layernorm";
  return form;
}

}  // namespace mixln::worker::trainer::norm
