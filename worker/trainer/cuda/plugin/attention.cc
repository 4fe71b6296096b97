#include <ATen/Functions.h>

#include "worker/trainer/cuda/plugin/data.h"
#include "worker/trainer/cuda/plugin/driver.h"
#include "worker/trainer/cuda/plugin/operations.h"

// LibTorch's flash attention where it can, which is several times as fast as ours in plain fp32 arithmetic.
namespace mixln::worker::trainer::cuda::entries {
namespace {

using kernels::AttentionShape;

bool HasFlash(const AttentionShape& shape, at::ScalarType type) {
  return type == at::kBFloat16 && shape.head_size % 8 == 0 && shape.head_size <= 256;
}

// Views of what `rows` [batch·time, (heads + 2·kv_heads)·head_size] holds.
Heads HeadsOf(const AttentionShape& shape, const at::Tensor& rows) {
  const at::Tensor whole =
      rows.view({shape.batch, shape.time, shape.heads + 2 * shape.kv_heads, shape.head_size});
  const auto part = [&](int64_t first, int64_t count) {
    return whole.narrow(2, first, count).transpose(1, 2);
  };
  return {part(0, shape.heads), part(shape.heads, shape.kv_heads),
          part(shape.heads + shape.kv_heads, shape.kv_heads)};
}

// [batch·time, heads·head_size] as [batch, heads, time, head_size], and back.
at::Tensor Split(const AttentionShape& shape, const at::Tensor& output) {
  return output.view({shape.batch, shape.time, shape.heads, shape.head_size}).transpose(1, 2);
}
at::Tensor Join(const AttentionShape& shape, const at::Tensor& output) {
  return output.transpose(1, 2).reshape({shape.batch * shape.time, shape.heads * shape.head_size});
}

}  // namespace

device::Attended Attend(const AttentionShape& shape, const at::Tensor& qkv) {
  if (HasFlash(shape, qkv.scalar_type())) {
    Flash flash = FlashAttention(HeadsOf(shape, qkv));
    return {Join(shape, flash.output), flash.lse, std::move(flash.more)};
  }
  device::Attended attended{
      at::empty({qkv.size(0), shape.heads * shape.head_size}, qkv.options()),
      at::empty({shape.batch, shape.heads, shape.time}, qkv.options().dtype(at::kFloat))};
  WithElement(qkv, [&](auto element) {
    using T = decltype(element);
    Attention(CurrentStream(), shape, Data<const T>(qkv), Data<T>(attended.output),
              Data<float>(attended.lse));
  });
  return attended;
}

at::Tensor AttendBackward(const AttentionShape& shape, const at::Tensor& qkv,
                          const device::Attended& attended, const at::Tensor& doutput) {
  at::Tensor dqkv = at::empty_like(qkv);
  if (HasFlash(shape, qkv.scalar_type())) {
    const Heads gradients = FlashAttentionBackward(
        HeadsOf(shape, qkv), {Split(shape, attended.output), attended.lse, attended.more},
        Split(shape, doutput));
    const Heads to = HeadsOf(shape, dqkv);
    to.queries.copy_(gradients.queries);
    to.keys.copy_(gradients.keys);
    to.values.copy_(gradients.values);
    return dqkv;
  }
  const at::Tensor delta = at::empty_like(attended.lse);
  WithElement(qkv, [&](auto element) {
    using T = decltype(element);
    AttentionBackward(CurrentStream(), shape, Data<const T>(qkv), Data<const T>(attended.output),
                      Data<const float>(attended.lse), Data<const T>(doutput), Data<float>(delta),
                      Data<T>(dqkv));
  });
  return dqkv;
}

}  // namespace mixln::worker::trainer::cuda::entries
