#include "worker/trainer/norm/sublayer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <vector>

namespace mixln::worker::trainer::norm {
namespace {

constexpr double kEps = 1e-6;
constexpr int64_t kRows = 130;  // more than two blocks of rows
constexpr int64_t kHidden = 24;

// The formula in fp64.
at::Tensor Norm(const at::Tensor& x, const at::Tensor& weight) {
  return x * (x.pow(2).mean(-1, true) + kEps).rsqrt() * weight.to(at::kDouble);
}

double Relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b.to(at::kDouble)).norm() / b.to(at::kDouble).norm()).item<double>();
}

// Any form with f(x) = x², against x' = C(w·x + B(f(a·A(x)))) written out and differentiated by finite
// differences.
void ExpectTheFormula(const SublayerForm& form) {
  at::manual_seed(1);
  const auto parameter = [](const NormName& name) {
    return name.empty() ? RmsNormParameter{}
                        : RmsNormParameter{at::rand({kHidden}) + 0.5, at::zeros({kHidden})};
  };
  const Sublayer::Parameters parameters{parameter(form.before), parameter(form.inner), parameter(form.after)};
  const auto formula = [&](const at::Tensor& x, const Sublayer::Parameters& p) {
    const at::Tensor input = form.input_scale * (form.before.empty() ? x : Norm(x, p.before.weight));
    at::Tensor branch = input.pow(2);
    if (!form.inner.empty()) branch = Norm(branch, p.inner.weight);
    const at::Tensor sum = form.stream_scale * x + branch;
    return form.after.empty() ? sum : Norm(sum, p.after.weight);
  };
  const at::Tensor x = at::randn({kRows, kHidden});
  const at::Tensor dnext = at::randn({kRows, kHidden});
  Sublayer sublayer(form, parameters, kEps, at::kFloat);
  const at::Tensor input = sublayer.Enter(x);
  EXPECT_LT(Relative(sublayer.Leave(input.pow(2)), formula(x.to(at::kDouble), parameters)), 1e-6);
  const at::Tensor dbranch = sublayer.LeaveBackward(dnext);
  const at::Tensor dx = sublayer.EnterBackward(2 * input * dbranch);

  // <gradient, direction> against the slope of <dnext, x'> along the direction.
  const double step = 1e-5;
  const auto value = [&](const at::Tensor& at_x, const Sublayer::Parameters& p) {
    return (formula(at_x, p) * dnext.to(at::kDouble)).sum().item<double>();
  };
  const at::Tensor direction = at::randn({kRows, kHidden}, at::kDouble);
  const at::Tensor wide = x.to(at::kDouble);
  const double slope =
      (value(wide + step * direction, parameters) - value(wide - step * direction, parameters)) / (2 * step);
  const double scale = (dx.norm() * direction.norm()).item<double>();
  EXPECT_NEAR((dx.to(at::kDouble) * direction).sum().item<double>(), slope, 1e-6 * scale);

  for (RmsNormParameter Sublayer::Parameters::*norm :
       {&Sublayer::Parameters::before, &Sublayer::Parameters::inner, &Sublayer::Parameters::after}) {
    if (!(parameters.*norm).weight.defined()) continue;
    const at::Tensor along = at::randn({kHidden}, at::kDouble);
    Sublayer::Parameters up = parameters;
    Sublayer::Parameters down = parameters;
    (up.*norm).weight = (parameters.*norm).weight.to(at::kDouble) + step * along;
    (down.*norm).weight = (parameters.*norm).weight.to(at::kDouble) - step * along;
    const double weight_slope = (value(wide, up) - value(wide, down)) / (2 * step);
    const at::Tensor gradient = (parameters.*norm).gradient.to(at::kDouble);
    EXPECT_NEAR((gradient * along).sum().item<double>(), weight_slope,
                1e-6 * (gradient.norm() * along.norm()).item<double>());
  }
}

TEST(Sublayer, ComputesPre) {
  ExpectTheFormula(FormOf(Placement::kPre, 0, 1).attention);
}

TEST(Sublayer, ComputesPost) {
  ExpectTheFormula(FormOf(Placement::kPost, 0, 1).mlp);
}

TEST(Sublayer, ComputesTheGeneralForm) {
  ExpectTheFormula({.before = "a", .inner = "b", .after = "c", .input_scale = 0.7, .stream_scale = 1.3});
  ExpectTheFormula({.before = "", .inner = "b", .after = "", .input_scale = 0.7, .stream_scale = 1.3});
  ExpectTheFormula({.before = "", .inner = "", .after = "", .input_scale = 1.0, .stream_scale = 1.0});
}

TEST(Placement, NamesNormsAsHuggingFaceDoes) {
  const LayerForm pre = FormOf(Placement::kPre, 0, 2);
  EXPECT_EQ(pre.attention.before, "input_layernorm");
  EXPECT_EQ(pre.mlp.before, "post_attention_layernorm");
  const LayerForm post = FormOf(Placement::kPost, 1, 2);
  EXPECT_EQ(post.attention.after, "post_attention_layernorm");
  EXPECT_EQ(post.mlp.after, "post_feedforward_layernorm");
}

TEST(Placement, RefusesAnUnknownName) {
  EXPECT_THROW(ParsePlacement("mix"), std::invalid_argument);
}

}  // namespace
}  // namespace mixln::worker::trainer::norm
