#include "worker/trainer/norm/deepnorm.h"

#include <cmath>

#include "worker/trainer/norm/post.h"

namespace mixln::worker::trainer::norm {

LayerForm DeepNormForm(int layers) {
  LayerForm form = PostForm();
  form.attention.stream_scale = form.mlp.stream_scale = std::pow(2.0 * layers, 0.25);
  form.xavier_gain = std::pow(8.0 * layers, -0.25);
  return form;
}

}  // namespace mixln::worker::trainer::norm
