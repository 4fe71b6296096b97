#include "worker/trainer/norm/sublayer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <stdexcept>
#include <utility>
#include <vector>

#include "worker/trainer/cpu/device.h"
#include "worker/trainer/norm/dlcl.h"

namespace mixln::worker::trainer::norm {
namespace {

constexpr double kEps = 1e-6;
constexpr int64_t kRows = 130;  // more than two blocks of rows
constexpr int64_t kHidden = 24;

// The formula in fp64.
at::Tensor Exact(const Norm& norm, const at::Tensor& x) {
  at::Tensor groups = x.view({x.size(0), norm.groups, -1});
  if (norm.kind == Kind::kLayer) groups = groups - groups.mean(-1, true);
  return (groups * (groups.pow(2).mean(-1, true) + kEps).rsqrt()).view(x.sizes()) *
         norm.weight.to(at::kDouble);
}

double Relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b.to(at::kDouble)).norm() / b.to(at::kDouble).norm()).item<double>();
}

// Any form with f(x) = x², against x' = C(w·x + B(f(a·A(x)))) written out and differentiated by finite
// differences.
void ExpectTheFormula(const SublayerForm& form, Kind kind = Kind::kRms) {
  at::manual_seed(1);
  const auto make_norm = [&](const VectorName& name, int groups) {
    return name.empty() ? Norm{} : Norm{at::rand({kHidden}) + 0.5, at::zeros({kHidden}), kind, kEps, groups};
  };
  Sublayer::Parameters parameters{
      make_norm(form.before, form.before_groups), make_norm(form.inner, 1), make_norm(form.after, 1), {}};
  if (!form.omega.empty()) parameters.omega = {at::rand({kHidden}) + 0.5, at::zeros({kHidden})};
  const auto formula = [&](const at::Tensor& x, const Sublayer::Parameters& p) {
    const at::Tensor input = form.input_scale * (form.before.empty() ? x : Exact(p.before, x));
    at::Tensor branch = input.pow(2);
    if (!form.inner.empty()) branch = Exact(p.inner, branch);
    at::Tensor stream = form.stream_scale * x;
    if (!form.omega.empty()) stream = stream * p.omega.weight.to(at::kDouble);
    return form.after.empty() ? stream + branch : Exact(p.after, stream + branch);
  };
  const at::Tensor x = at::randn({kRows, kHidden});
  const at::Tensor dnext = at::randn({kRows, kHidden});
  Sublayer sublayer(cpu::Cpu(), form, parameters, at::kFloat);
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

  // The same for each weight, which `at` finds in a set of parameters.
  const auto expect_slope = [&](auto find) {
    const auto& [weight, gradient] = find(parameters);
    if (!weight.defined()) return;
    const at::Tensor along = at::randn({kHidden}, at::kDouble);
    Sublayer::Parameters up = parameters;
    Sublayer::Parameters down = parameters;
    find(up).first = weight.to(at::kDouble) + step * along;
    find(down).first = weight.to(at::kDouble) - step * along;
    const double weight_slope = (value(wide, up) - value(wide, down)) / (2 * step);
    const at::Tensor exact = gradient.to(at::kDouble);
    EXPECT_NEAR((exact * along).sum().template item<double>(), weight_slope,
                1e-6 * (exact.norm() * along.norm()).template item<double>());
  };
  using Vector = std::pair<at::Tensor&, at::Tensor&>;
  expect_slope([](Sublayer::Parameters& p) { return Vector{p.before.weight, p.before.gradient}; });
  expect_slope([](Sublayer::Parameters& p) { return Vector{p.inner.weight, p.inner.gradient}; });
  expect_slope([](Sublayer::Parameters& p) { return Vector{p.after.weight, p.after.gradient}; });
  expect_slope([](Sublayer::Parameters& p) { return Vector{p.omega.weight, p.omega.gradient}; });
}

TEST(Sublayer, ComputesEveryPlacement) {
  for (const Placement placement :
       {Placement::kPre, Placement::kPost, Placement::kSandwich, Placement::kDeepNorm, Placement::kAdmin,
        Placement::kLns, Placement::kGroup, Placement::kDlcl}) {
    SCOPED_TRACE(Name(placement));
    for (const Kind kind : {Kind::kRms, Kind::kLayer}) {
      ExpectTheFormula(FormOf(placement, 2, 4).attention, kind);
      ExpectTheFormula(FormOf(placement, 2, 4).mlp, kind);
    }
  }
}

TEST(Sublayer, ComputesTheGeneralForm) {
  for (const Kind kind : {Kind::kRms, Kind::kLayer}) {
    ExpectTheFormula({.before = "a", .inner = "b", .after = "c", .input_scale = 0.7, .stream_scale = 1.3},
                     kind);
    ExpectTheFormula({.before = "a", .inner = "b", .after = "c", .omega = "d", .before_groups = 3}, kind);
    ExpectTheFormula({.before = "", .inner = "b", .after = "", .input_scale = 0.7, .stream_scale = 1.3},
                     kind);
    ExpectTheFormula({.before = "", .inner = "", .after = "", .input_scale = 1.0, .stream_scale = 1.0}, kind);
  }
}

TEST(Sublayer, HasOneWeightOfTheStream) {
  const SublayerForm both{.stream_scale = 1.3, .omega = "a"};
  EXPECT_THROW(Sublayer(cpu::Cpu(), both, {}, at::kFloat), std::invalid_argument);
}

// Rows are summed in fixed blocks.
TEST(Sublayer, GivesTheSameGradientsOnAnyNumberOfThreads) {
  const int64_t rows = 1000;
  at::manual_seed(1);
  const at::Tensor x = at::randn({rows, kHidden});
  const at::Tensor dy = at::randn({rows, kHidden});
  const auto gradients = [&](int threads) {
    at::set_num_threads(threads);
    const auto vector = [](int64_t size) { return std::pair{at::ones({size}), at::zeros({size})}; };
    const auto [omega, domega] = vector(kHidden);
    const auto [weight, dweight] = vector(kHidden);
    const auto [row, drow] = vector(2);
    ScaleStreamBackward(cpu::Cpu(), {omega, domega}, x, dy);
    const Norm norm{weight, dweight, Kind::kLayer, kEps, 8};
    NormSaved saved;
    Normalize(cpu::Cpu(), norm, 1.0, x, 1.0, at::Tensor(), at::kFloat, &saved);
    NormalizeBackward(cpu::Cpu(), norm, 1.0, saved, dy, at::Tensor(), 0.0);
    OutputSum sum(cpu::Cpu(), row, drow);
    sum.Forward({x, dy});
    sum.Backward(dy);
    return at::cat({domega, dweight, drow});
  };
  const int threads = at::get_num_threads();
  const at::Tensor one = gradients(1);
  const at::Tensor three = gradients(3);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, three));
}

// x = Σ_k w_k·y_k: dw_k = <y_k, dx> and dy_k = w_k·dx, by hand for y₀ = (1, 2), y₁ = (3, 5), w = (2, −1), dx
// = (1, 10).
TEST(OutputSum, AddsUpAndGivesItsGradients) {
  const at::Tensor gradient = at::zeros({2});
  OutputSum sum(cpu::Cpu(), at::tensor({2.0F, -1.0F}), gradient);
  EXPECT_TRUE(at::equal(sum.Forward({at::tensor({1.0F, 2.0F}), at::tensor({3.0F, 5.0F})}),
                        at::tensor({-1.0F, -1.0F})));
  const std::vector<at::Tensor> doutputs = sum.Backward(at::tensor({1.0F, 10.0F}));
  EXPECT_TRUE(at::equal(doutputs.at(0), at::tensor({2.0F, 20.0F})));
  EXPECT_TRUE(at::equal(doutputs.at(1), at::tensor({-1.0F, -10.0F})));
  EXPECT_TRUE(at::equal(gradient, at::tensor({21.0F, 53.0F})));
}

TEST(Placement, NamesNormsAsHuggingFaceDoes) {
  const LayerForm pre = FormOf(Placement::kPre, 0, 2);
  EXPECT_EQ(pre.attention.before, "input_layernorm");
  EXPECT_EQ(pre.mlp.before, "post_attention_layernorm");
  const LayerForm post = FormOf(Placement::kPost, 1, 2);
  EXPECT_EQ(post.attention.after, "post_attention_layernorm");
  EXPECT_EQ(post.mlp.after, "post_feedforward_layernorm");
  const LayerForm sandwich = FormOf(Placement::kSandwich, 1, 2);
  EXPECT_EQ(sandwich.attention.before, "input_layernorm");
  EXPECT_EQ(sandwich.attention.inner, "post_attention_layernorm");
  EXPECT_EQ(sandwich.mlp.before, "pre_feedforward_layernorm");
  EXPECT_EQ(sandwich.mlp.inner, "post_feedforward_layernorm");
}

// DeepNorm's constants for 32 layers: (2·32)^¼ = 2.828 and (8·32)^−¼ = 1/4.
TEST(Placement, HasTheFormulasConstants) {
  const LayerForm deep = FormOf(Placement::kDeepNorm, 0, 32);
  EXPECT_NEAR(deep.attention.stream_scale, 2.8284271, 1e-7);
  EXPECT_NEAR(deep.xavier_gain.value_or(0), 0.25, 1e-12);
  EXPECT_EQ(FormOf(Placement::kLns, 0, 32).mlp.input_scale, 1.0);
  EXPECT_EQ(FormOf(Placement::kLns, 15, 32).attention.input_scale, 0.25);  // layer 16
  EXPECT_EQ(FormOf(Placement::kGroup, 0, 32).mlp.before_groups, 8);
}

TEST(Placement, HasANameThatParsesBack) {
  for (const char* name : {"pre", "post", "sandwich", "deepnorm", "admin", "lns", "group", "dlcl"}) {
    EXPECT_EQ(Name(ParsePlacement(name)), name);
  }
}

// 1, 2, 3 and 6: mean 3, mean square 12.5, variance 3.5.
TEST(Moments, AddUpToTheVarianceOfTheWhole) {
  Moments moments = MomentsOf(cpu::Cpu(), at::tensor({1.0F, 2.0F}));
  moments += MomentsOf(cpu::Cpu(), at::tensor({3.0F, 6.0F}));
  EXPECT_DOUBLE_EQ(Variance(moments), 3.5);
}

TEST(Placement, RefusesAnUnknownName) {
  EXPECT_THROW(ParsePlacement("mix"), std::invalid_argument);
}

}  // namespace
}  // namespace mixln::worker::trainer::norm
