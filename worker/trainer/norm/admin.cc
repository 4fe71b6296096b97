#include "worker/trainer/norm/admin.h"

#include "worker/trainer/norm/post.h"

namespace mixln::worker::trainer::norm {

LayerForm AdminForm() {
  LayerForm form = PostForm();
  form.attention.omega = "attention_omega";
  form.mlp.omega = "mlp_omega";
  return form;
}

Moments& Moments::operator+=(const Moments& other) {
  sum += other.sum;
  sum_of_squares += other.sum_of_squares;
  count += other.count;
  return *this;
}

Moments MomentsOf(const device::Device& device, const at::Tensor& tensor) {
  const device::Sums sums = device.sums(tensor);
  return {sums.sum, sums.squares, static_cast<double>(tensor.numel())};
}

double Variance(const Moments& moments) {
  const double mean = moments.sum / moments.count;
  return moments.sum_of_squares / moments.count - mean * mean;
}

}  // namespace mixln::worker::trainer::norm
