#include "worker/trainer/norm/lns.h"

#include <cmath>

#include "worker/trainer/norm/pre.h"

namespace mixln::worker::trainer::norm {

LayerForm LnsForm(int layer) {
  LayerForm form = PreForm();
  form.attention.input_scale = form.mlp.input_scale = 1.0 / std::sqrt(layer + 1.0);
  return form;
}

}  // namespace mixln::worker::trainer::norm
