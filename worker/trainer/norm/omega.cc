#include "worker/trainer/norm/omega.h"

#include <ATen/Functions.h>

namespace mixln::worker::trainer::norm {

at::Tensor ScaleStream(const device::Device& device, const Omega& omega, const at::Tensor& x) {
  at::Tensor y = at::empty_like(x);
  device.scale_channels(x, omega.weight, y);
  return y;
}

at::Tensor ScaleStreamBackward(const device::Device& device, const Omega& omega, const at::Tensor& x,
                               const at::Tensor& dy) {
  at::Tensor dx = at::empty_like(x);
  device.scale_channels_backward(x, omega.weight, dy, dx, omega.gradient);
  return dx;
}

}  // namespace mixln::worker::trainer::norm
