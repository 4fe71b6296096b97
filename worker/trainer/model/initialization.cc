#include "worker/trainer/model/initialization.h"

#include <cmath>

namespace mixln::worker::trainer::model {

double MatrixDeviation(const Initialization& initialization, const norm::LayerForm& form, int64_t layers,
                       std::string_view name, int64_t rows, int64_t columns) {
  if (form.xavier_gain) {
    const bool scores = name == "self_attn.q_proj" || name == "self_attn.k_proj";
    return (scores ? 1.0 : *form.xavier_gain) * std::sqrt(2.0 / static_cast<double>(rows + columns));
  }
  const bool writes = name == "self_attn.o_proj" || name == "mlp.down_proj";
  const double divisor = initialization.scaled && writes ? std::sqrt(2.0 * static_cast<double>(layers)) : 1.0;
  return initialization.standard_deviation / divisor;
}

}  // namespace mixln::worker::trainer::model
