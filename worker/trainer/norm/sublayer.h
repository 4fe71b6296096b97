#pragma once

#include <ATen/core/Tensor.h>

#include "worker/trainer/norm/placement.h"
#include "worker/trainer/norm/rms_norm.h"

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
    RmsNormParameter before;
    RmsNormParameter inner;
    RmsNormParameter after;
  };

  Sublayer(const SublayerForm& form, const Parameters& parameters, double eps, at::ScalarType compute);

  at::Tensor Enter(const at::Tensor& x);
  at::Tensor Leave(const at::Tensor& branch);
  at::Tensor LeaveBackward(const at::Tensor& dnext);
  at::Tensor EnterBackward(const at::Tensor& dinput);

  // Lets go of what a forward pass has kept.
  void Forget();

 private:
  SublayerForm form_;
  Parameters parameters_;
  double eps_;
  at::ScalarType compute_;

  at::Tensor x_;
  RmsNormSaved before_;
  RmsNormSaved inner_;
  RmsNormSaved after_;
  at::Tensor dsum_;  // the gradient of w·x + B(…)
};

}  // namespace mixln::worker::trainer::norm
