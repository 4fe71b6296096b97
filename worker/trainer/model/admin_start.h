#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "worker/trainer/device/device.h"
#include "worker/trainer/fsdp/unit.h"
#include "worker/trainer/model/initialization.h"
#include "worker/trainer/model/shape.h"
#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::model {

// A micro-batch on its way through the layers: fp32 [batch·time, hidden].
struct Stream {
  at::Tensor x;
  int64_t time = 0;
};

// Gives Admin's ω its first value, norm/admin.h's formula, in the units of the layers: all micro-batches of
// the first global batch, as embedded, go through one sublayer after the other, in fp32 whatever the compute
// type. A layer's initial weights are drawn once more for that, which needs no gathering and the memory of
// one layer; so this is right only while the weights are the initial ones. Of several `ranks` each brings the
// micro-batches that it has, and all get the same ω.
void StartAdmin(const device::Device& device, const Shape& shape, const std::vector<norm::LayerForm>& forms,
                const Initialization& initialization, const device::Rope& rope, std::vector<Stream> streams,
                const std::vector<fsdp::Unit*>& layer_units, fsdp::Collectives* ranks);

}  // namespace mixln::worker::trainer::model
