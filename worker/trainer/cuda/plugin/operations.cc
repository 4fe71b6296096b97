#include "worker/trainer/cuda/plugin/operations.h"

#include <ATen/Functions.h>

#include <span>

#include "worker/trainer/cuda/plugin/data.h"
#include "worker/trainer/cuda/plugin/driver.h"

namespace mixln::worker::trainer::cuda::entries {
namespace {

using kernels::Bf16;

// The numbers on the device.
at::Tensor Upload(const std::vector<int64_t>& numbers, const at::Tensor& beside) {
  return at::from_blob(const_cast<int64_t*>(numbers.data()), {static_cast<int64_t>(numbers.size())},
                       at::kLong)
      .clone()
      .to(beside.device());
}

}  // namespace

void Rotate(const device::Rope& rope, const at::Tensor& rows, int64_t heads, int64_t time, bool back) {
  const kernels::Rope angles{Data<const float>(rope.cosines), Data<const float>(rope.sines),
                             rope.cosines.size(1)};
  WithElement(rows, [&](auto element) {
    using T = decltype(element);
    cuda::Rotate(CurrentStream(), angles, Data<T>(rows), rows.size(1), heads, time, back, rows.size(0));
  });
}

void Swiglu(const at::Tensor& gate_up, const at::Tensor& out) {
  WithElement(out, [&](auto element) {
    using T = decltype(element);
    cuda::Swiglu(CurrentStream(), Data<const T>(gate_up), Data<T>(out), out.size(1), out.size(0));
  });
}

void SwigluBackward(const at::Tensor& gate_up, const at::Tensor& dout) {
  WithElement(dout, [&](auto element) {
    using T = decltype(element);
    cuda::SwigluBackward(CurrentStream(), Data<T>(gate_up), Data<const T>(dout), dout.size(1), dout.size(0));
  });
}

void Norm(const device::NormForward& norm) {
  kernels::RmsNormForward kernel;
  kernel.x = Data<const float>(norm.x);
  kernel.stream_scale = static_cast<float>(norm.stream_scale);
  kernel.weight = Data<const float>(norm.weight);
  kernel.scale = static_cast<float>(norm.scale);
  kernel.eps = static_cast<float>(norm.eps);
  kernel.centered = norm.centered;
  kernel.columns = norm.x.size(1) / norm.groups;
  kernel.weight_rows = norm.groups;
  kernel.sum = Data<float>(norm.sum);
  kernel.inverse_rms = Data<float>(norm.inverse_rms);
  const int64_t rows = norm.x.size(0) * norm.groups;
  const bool narrow_branch = norm.branch.defined() && norm.branch.scalar_type() == at::kBFloat16;
  if (norm.y.scalar_type() == at::kBFloat16) {
    cuda::Norm(CurrentStream(), kernel, Data<const Bf16>(norm.branch), Data<Bf16>(norm.y), rows);
  } else if (narrow_branch) {
    cuda::Norm(CurrentStream(), kernel, Data<const Bf16>(norm.branch), Data<float>(norm.y), rows);
  } else {
    cuda::Norm(CurrentStream(), kernel, Data<const float>(norm.branch), Data<float>(norm.y), rows);
  }
}

void NormBackward(const device::NormBackward& norm) {
  kernels::RmsNormBackward kernel;
  kernel.x = Data<const float>(norm.input);
  kernel.inverse_rms = Data<const float>(norm.inverse_rms);
  kernel.weight = Data<const float>(norm.weight);
  kernel.scale = static_cast<float>(norm.scale);
  kernel.centered = norm.centered;
  kernel.residual = Data<const float>(norm.residual);
  kernel.residual_scale = static_cast<float>(norm.residual_scale);
  kernel.columns = norm.dy.size(1) / norm.groups;
  kernel.weight_rows = norm.groups;
  kernel.dx = Data<float>(norm.dx);
  const at::Tensor partial = at::empty({NormScratch(kernel)}, norm.input.options());
  WithElement(norm.dy, [&](auto element) {
    cuda::NormBackward(CurrentStream(), kernel, Data<const decltype(element)>(norm.dy),
                       Data<float>(norm.weight_gradient), Data<float>(partial),
                       norm.dy.size(0) * norm.groups);
  });
}

void Scale(const at::Tensor& from, double scale, const at::Tensor& to) {
  const auto factor = static_cast<float>(scale);
  if (from.scalar_type() == at::kBFloat16) {
    ScaleTo(CurrentStream(), Data<const Bf16>(from), factor, Data<float>(to), from.numel());
  } else {
    WithElement(to, [&](auto element) {
      ScaleTo(CurrentStream(), Data<const float>(from), factor, Data<decltype(element)>(to), from.numel());
    });
  }
}

void Add(const at::Tensor& x, double a, const at::Tensor& y, double b, const at::Tensor& to) {
  WithElement(y, [&](auto element) {
    AddTo(CurrentStream(), Data<const float>(x), static_cast<float>(a), Data<const decltype(element)>(y),
          static_cast<float>(b), Data<float>(to), x.numel());
  });
}

void ScaleChannels(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& to) {
  cuda::ScaleChannels(CurrentStream(), Data<const float>(x), Data<const float>(weight), Data<float>(to),
                      x.size(1), x.size(0));
}

void ScaleChannelsBackward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& dy,
                           const at::Tensor& dx, const at::Tensor& weight_gradient) {
  const at::Tensor partial = at::empty({ChannelScratch(x.size(1))}, x.options());
  cuda::ScaleChannelsBackward(CurrentStream(), Data<const float>(x), Data<const float>(weight),
                              Data<const float>(dy), Data<float>(dx), Data<float>(weight_gradient),
                              Data<float>(partial), x.size(1), x.size(0));
}

void SumOutputs(const std::vector<at::Tensor>& outputs, const at::Tensor& weight, const at::Tensor& to) {
  const auto* weights = Data<const float>(weight);
  for (size_t k = 0; k < outputs.size(); ++k)
    AddWeighted(CurrentStream(), Data<const float>(outputs[k]), weights + k, k > 0, Data<float>(to),
                to.numel());
}

void SumOutputsBackward(const at::Tensor& dx, const std::vector<at::Tensor>& outputs,
                        const at::Tensor& weight, const std::vector<at::Tensor>& doutputs,
                        const at::Tensor& weight_gradient) {
  const int64_t count = dx.numel();
  const at::Tensor partial = at::empty({SumScratch(count)}, dx.options().dtype(at::kDouble));
  const auto* weights = Data<const float>(weight);
  for (size_t k = 0; k < outputs.size(); ++k) {
    AddWeighted(CurrentStream(), Data<const float>(dx), weights + k, false, Data<float>(doutputs[k]), count);
    AddDot(CurrentStream(), Data<const float>(dx), Data<const float>(outputs[k]), count,
           Data<double>(partial), Data<float>(weight_gradient) + k);
  }
}

// Only before the first step, so LibTorch's own sums do.
device::Sums SumsOf(const at::Tensor& x) {
  const at::Tensor wide = x.to(at::kDouble);
  return {wide.sum().item<double>(), wide.square().sum().item<double>()};
}

void AddInOrder(const at::Tensor& to, const std::vector<at::Tensor>& parts) {
  for (const at::Tensor& part : parts) Add(to, 1.0, part, 1.0, to);
}

void Embed(const at::Tensor& table, const at::Tensor& tokens, const at::Tensor& out) {
  const at::Tensor ids = tokens.to(table.device());
  Embedding(CurrentStream(), Data<const float>(table), Data<const int64_t>(ids), Data<float>(out),
            out.size(1), out.size(0));
}

void EmbedBackward(const at::Tensor& dx, const at::Tensor& tokens, const at::Tensor& gradient) {
  const TokenGroups groups =
      GroupTokens(std::span(tokens.const_data_ptr<int64_t>(), static_cast<size_t>(tokens.numel())));
  const at::Tensor distinct = Upload(groups.tokens, dx);
  const at::Tensor begins = Upload(groups.begins, dx);
  const at::Tensor positions = Upload(groups.positions, dx);
  EmbeddingBackward(CurrentStream(), Data<const float>(dx), Data<const int64_t>(distinct),
                    Data<const int64_t>(begins), Data<const int64_t>(positions), distinct.numel(),
                    Data<float>(gradient), dx.size(1));
}

void CrossEntropy(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& mask,
                  double gradient_scale, const at::Tensor& losses) {
  WithElement(logits, [&](auto element) {
    cuda::CrossEntropy(CurrentStream(), Data<decltype(element)>(logits), Data<const int64_t>(targets),
                       Data<const uint8_t>(mask), static_cast<float>(gradient_scale), Data<double>(losses),
                       logits.size(1), logits.size(0));
  });
}

void AdamW(const kernels::AdamWStep& step, const device::AdamWTensors& tensors, const at::Tensor& movement) {
  const at::Tensor before = movement.defined() ? tensors.weight.clone() : at::Tensor();
  cuda::AdamW(CurrentStream(), step, Data<float>(tensors.weight), Data<float>(tensors.gradient),
              Data<float>(tensors.exp_avg), Data<float>(tensors.exp_avg_sq), Data<Bf16>(tensors.compute),
              tensors.weight.numel());
  if (!movement.defined()) return;
  const at::Tensor sums = at::empty({2}, movement.options());
  SumOfSquares(before, sums.narrow(0, 1, 1));
  Add(before, -1.0, tensors.weight, 1.0, before);
  SumOfSquares(before, sums.narrow(0, 0, 1));
  movement.add_(sums);
}

void SumOfSquares(const at::Tensor& flat, const at::Tensor& to) {
  const at::Tensor partial = at::empty({SumScratch(flat.numel())}, to.options());
  cuda::SumOfSquares(CurrentStream(), Data<const float>(flat), flat.numel(), Data<double>(partial),
                     Data<double>(to));
}

}  // namespace mixln::worker::trainer::cuda::entries
