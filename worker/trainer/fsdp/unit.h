#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mixln::worker::trainer::fsdp {

// A parameter as a unit is told of it.
struct ParameterSpec {
  std::string name;                 // Hugging Face's
  std::vector<int64_t> shape;       // [rows, columns] of a matrix, [size] of a vector
  double standard_deviation = 0.0;  // a matrix starts normal with it
  bool joined = false;  // lies right behind the one before, so that both can be used as one matrix
  double start_value =
      1.0;  // a vector (a norm's weight, Admin's omega, a row of DLCL's W) starts filled with it
};

// A parameter's place in its unit.
struct Segment {
  std::string name;
  std::vector<int64_t> shape;
  int64_t offset = 0;   // in elements
  int64_t size = 0;     // in elements
  bool decays = false;  // weight decay is for matrices only
};

// The parameters that are gathered, reduced and updated together: a decoder layer's, the embedding's, or the
// head's. All lie in one flat buffer, and so do their gradients and moments; what others use are views into
// these, which stay valid as long as the unit. A view begins at a multiple of 64 bytes unless it is joined to
// the one before; gaps are zero.
//
// Masters, gradients and moments are fp32. Matrices are computed with in the compute type: views of the
// master itself, or of a bf16 copy that CastMaster refreshes. Vectors are always used in fp32.
class Unit {
 public:
  Unit(const std::vector<ParameterSpec>& parameters, bool bf16);

  const std::vector<Segment>& segments() const { return segments_; }

  // The matrix `name`, in the compute type; `joined` matrices behind it are part of it, with their rows
  // added.
  at::Tensor Matrix(const std::string& name, int joined = 0) const;
  at::Tensor MatrixGradient(const std::string& name, int joined = 0) const;

  // One parameter's fp32 master, gradient and moments.
  at::Tensor Master(const Segment& segment) const { return View(master_, segment); }
  at::Tensor Gradient(const Segment& segment) const { return View(gradient_, segment); }
  at::Tensor ExpAvg(const Segment& segment) const { return View(exp_avg_, segment); }
  at::Tensor ExpAvgSq(const Segment& segment) const { return View(exp_avg_sq_, segment); }

  // Throws std::out_of_range.
  const Segment& Find(const std::string& name) const;

  // The flat buffers. `compute` is undefined in fp32.
  const at::Tensor& master() const { return master_; }
  const at::Tensor& gradient() const { return gradient_; }
  const at::Tensor& exp_avg() const { return exp_avg_; }
  const at::Tensor& exp_avg_sq() const { return exp_avg_sq_; }
  const at::Tensor& compute() const { return compute_; }

  // Refreshes the bf16 copy; nothing to do in fp32.
  void CastMaster();

 private:
  static at::Tensor View(const at::Tensor& flat, const Segment& segment);
  at::Tensor Joined(const at::Tensor& flat, const std::string& name, int joined) const;

  std::vector<Segment> segments_;
  at::Tensor master_;
  at::Tensor gradient_;
  at::Tensor exp_avg_;
  at::Tensor exp_avg_sq_;
  at::Tensor compute_;
};

// Fills the masters: a pure function of (seed, name, element), so equal wherever a name is shared.
void Initialize(Unit& unit, const std::vector<ParameterSpec>& parameters, uint64_t seed);

}  // namespace mixln::worker::trainer::fsdp
