#include "worker/trainer/model/admin_start.h"

#include <cmath>

#include "worker/trainer/model/layer.h"

namespace mixln::worker::trainer::model {
namespace {

void Fill(fsdp::Unit& unit, const std::string& name, double value) {
  unit.Vector(name).fill_(value);
}

void SumOverRanks(norm::Sublayer::Summands& summands, fsdp::Collectives* ranks) {
  if (ranks == nullptr) return;
  double numbers[6] = {};
  double* next = numbers;
  for (const norm::Moments* moments : {&summands.stream, &summands.branch}) {
    for (const double number : {moments->sum, moments->sum_of_squares, moments->count}) *next++ = number;
  }
  ranks->Sum(numbers);
  summands = {{numbers[0], numbers[1], numbers[2]}, {numbers[3], numbers[4], numbers[5]}};
}

}  // namespace

void StartAdmin(const device::Device& device, const Shape& shape, const std::vector<norm::LayerForm>& forms,
                const Initialization& initialization, const device::Rope& rope, std::vector<Stream> streams,
                const std::vector<fsdp::Unit*>& layer_units, fsdp::Collectives* ranks) {
  Shape fp32 = shape;
  fp32.bf16 = false;
  double next_omega = 1.0;
  for (size_t index = 0; index < forms.size(); ++index) {
    const norm::LayerForm& form = forms[index];
    const auto number = static_cast<int64_t>(index);
    const std::vector<fsdp::ParameterSpec> parameters = LayerParameters(fp32, form, number, initialization);
    fsdp::Unit unit(device, parameters, fsdp::Compute::kFp32, {});
    fsdp::Initialize(unit, parameters, initialization.seed);
    Layer layer(device, fp32, form, number, unit, rope);
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
      SumOverRanks(summands, ranks);
      next_omega = std::sqrt(norm::Variance(summands.stream) + norm::Variance(summands.branch));
    }
  }
}

}  // namespace mixln::worker::trainer::model
