#pragma once

#include <ATen/core/Tensor.h>

#include "worker/trainer/device/device.h"
#include "worker/trainer/norm/admin.h"
#include "worker/trainer/norm/norm.h"
#include "worker/trainer/norm/omega.h"
#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::norm {

// What surrounds attention or the MLP: x' = C(w·x + B(f(a·A(x)))), forward and backward, for whatever form a
// placement has. The caller computes f between the two halves:
//
//   input = Enter(x);  next = Leave(f(input));       df = LeaveBackward(dnext);  dx = EnterBackward(dinput of
//   f)
//
// The stream (x, next and their gradients) is fp32 [rows, hidden]; f's side is in the compute type. It keeps
// what the backward pass needs from a forward pass until then: one pass at a time.
class Sublayer {
 public:
  struct Parameters {
    Norm before;
    Norm inner;
    Norm after;
    Omega omega;
  };

  // Throws std::invalid_argument for a form with both a stream_scale and an omega.
  Sublayer(const device::Device& device, const SublayerForm& form, Parameters parameters,
           at::ScalarType compute);

  at::Tensor Enter(const at::Tensor& x);
  at::Tensor Leave(const at::Tensor& branch);
  at::Tensor LeaveBackward(const at::Tensor& dnext);
  at::Tensor EnterBackward(const at::Tensor& dinput);

  // Lets go of what a forward pass has kept.
  void Forget();

  // What Leave adds up.
  struct Summands {
    Moments stream;  // of w·x
    Moments branch;  // of B(f)
  };
  // Leave; adds the moments of what it adds up to `summands`. In fp32 only.
  at::Tensor LeaveAndMeasure(const at::Tensor& branch, Summands& summands);

 private:
  // scale·from in `type`: `from` itself where that changes nothing.
  at::Tensor Scaled(const at::Tensor& from, double scale, at::ScalarType type) const;
  at::Tensor Sum(const at::Tensor& x, double a, const at::Tensor& y, double b) const;  // a·x + b·y in fp32
  at::Tensor Stream() const;                                                           // ω∘x
  at::Tensor Inner(const at::Tensor& branch);                                          // B(branch)
  at::Tensor Add(const at::Tensor& stream, const at::Tensor& inner);                   // C(w·stream + inner)

  const device::Device* device_;
  SublayerForm form_;
  Parameters parameters_;
  at::ScalarType compute_;

  at::Tensor x_;
  NormSaved before_;
  NormSaved inner_;
  NormSaved after_;
  at::Tensor dsum_;  // the gradient of w·x + B(…)
};

}  // namespace mixln::worker::trainer::norm
