#include "worker/trainer/model/admin_start.h"

#include <cmath>

#include "worker/trainer/model/layer.h"

namespace mixln::worker::trainer::model {
namespace {

void Fill(fsdp::Unit& unit, const std::string& name, double value) {
  unit.Master(unit.Find(name)).fill_(value);
}

}  // namespace

void StartAdmin(const Shape& shape, const std::vector<norm::LayerForm>& forms,
                const Initialization& initialization, const std::shared_ptr<const kernels::RopeTable>& rope,
                std::vector<Stream> streams, const std::vector<fsdp::Unit*>& layer_units) {
  Shape fp32 = shape;
  fp32.bf16 = false;
  double next_omega = 1.0;
  for (size_t index = 0; index < forms.size(); ++index) {
    const norm::LayerForm& form = forms[index];
    const auto number = static_cast<int64_t>(index);
    const std::vector<fsdp::ParameterSpec> parameters = LayerParameters(fp32, form, number, initialization);
    fsdp::Unit unit(parameters, false);
    fsdp::Initialize(unit, parameters, initialization.seed);
    Layer layer(fp32, form, number, unit, rope);
    for (const Part part : {Part::kAttention, Part::kMlp}) {
      const norm::SublayerForm& sublayer = part == Part::kAttention ? form.attention : form.mlp;
      if (!sublayer.omega.empty()) {
        const std::string name = VectorPath(number, sublayer.omega);
        Fill(unit, name, next_omega);
        Fill(*layer_units[index], name, next_omega);
      }
      norm::Sublayer::Summands summands;
      for (Stream& stream : streams) {
        stream.x = layer.ForwardAndMeasure(part, stream.x, stream.time, summands);
      }
      next_omega = std::sqrt(norm::Variance(summands.stream) + norm::Variance(summands.branch));
    }
  }
}

}  // namespace mixln::worker::trainer::model
