#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/device/device.h"
#include "worker/trainer/fsdp/buffer_pool.h"
#include "worker/trainer/fsdp/collectives.h"
#include "worker/trainer/fsdp/layout.h"

namespace mixln::worker::trainer::fsdp {

// How a unit's gathered matrices are kept.
enum class Compute {
  kFp32,
  kBf16,
  kBoth,  // a tied embedding: its rows are read in fp32, the head multiplies in bf16
};

// When gradients of several micro-batches are reduced.
enum class Accumulate {
  kReduceEach,  // after each one: a rank keeps its part only
  kNoSync,      // after the last one: a rank keeps a whole gradient, and less is sent
};

// How a model is spread over ranks.
struct Sharding {
  Collectives* ranks = nullptr;  // none: one rank has everything
  Accumulate accumulate = Accumulate::kReduceEach;
  std::shared_ptr<BufferPool> pool;
};

// A matrix, or several joined ones, in a unit.
struct MatrixRange {
  int64_t offset = 0;  // in elements
  int64_t size = 0;
  int64_t columns = 0;
};

// What a rank owns of one parameter: a range of its elements in row-major order, as fp32 views of the unit's
// memory. The optimizer updates pieces, and checkpoints are made of them.
struct Piece {
  const Segment* segment = nullptr;
  Range range;              // of the segment's elements; none may be owned
  bool replicated = false;  // every rank owns it whole, and all keep it equal: vectors
  at::Tensor master;        // fp32 [range.elements], and so are the next three
  at::Tensor gradient;
  at::Tensor exp_avg;
  at::Tensor exp_avg_sq;
  at::Tensor compute;  // the bf16 copy that is to follow the master; undefined where there is none
};

// The parameters that are gathered, reduced and updated together: a decoder layer's, the embedding's, or the
// head's. All matrices lie in one flat buffer, and so do their gradients.
//
// A rank owns an equal part of that buffer: its fp32 master, gradient and moments. For the time that a layer
// needs them, the whole matrices are gathered from all ranks in the compute type, and a whole gradient is
// lent, which is then reduced: each rank's part of it, summed over ranks, is added to what that rank owns.
// Vectors are small: each rank owns them whole, and keeps them in fp32; their gradients are summed before an
// update. With one rank, nothing is sent: the matrices are there for the unit's life, as views of the master
// or as its bf16 copy. Ranks with memory in common have them there in the same way, once for all.
class Unit {
 public:
  // All of it lies on the device, which outlives it.
  Unit(const device::Device& device, const std::vector<ParameterSpec>& parameters, Compute compute,
       const Sharding& sharding);
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;

  const std::vector<Piece>& pieces() const { return pieces_; }
  const std::vector<Segment>& segments() const { return layout_.segments; }

  // A vector in fp32 and its gradient; both stay where they are for the unit's life. Throws
  // std::out_of_range.
  at::Tensor Vector(const std::string& name) const;
  at::Tensor VectorGradient(const std::string& name) const;

  // Where the matrix `name` is, with `joined` ones behind it, whose rows are added.
  MatrixRange Find(const std::string& name, int joined = 0) const;

  // The whole matrices, in the compute type, and in fp32 (not where Compute is kBf16): [rows, columns]. Valid
  // from WaitGather to Release.
  at::Tensor Weight(const MatrixRange& matrix) const;
  at::Tensor Fp32Weight(const MatrixRange& matrix) const;
  // The whole gradient in fp32, to be added to; from TakeGradient to StartReduce.
  at::Tensor Gradient(const MatrixRange& matrix) const;

  // Gathers the matrices, unless they are there or on their way.
  void StartGather();
  // Starts that if need be, and waits for it.
  void WaitGather();
  // Lets go of the gathered matrices; waits for those on their way.
  void Release();

  // Lends a whole gradient, unless one is there.
  void TakeGradient();
  // Starts to reduce it (kNoSync: leaves it for Reduce).
  void StartReduce();
  // Waits for that, and adds it to the part that is owned.
  void WaitReduce();
  // Reduces what kNoSync has left.
  void Reduce();

  // Masters have been written: the bf16 copy follows; gathered matrices are let go of.
  void Refresh();

  // All vectors' gradients, fp32, flat: what is summed over ranks before an update.
  const at::Tensor& vector_gradients() const { return vectors_.gradient; }

  // Whether this rank counts vectors in sums over ranks, which all have them: rank 0 does.
  bool counts_vectors() const { return sharding_.ranks == nullptr || sharding_.ranks->rank() == 0; }

  // Writes to sums[0] and sums[1], fp64 on the device, the sums of squares of the gradient that is owned: of
  // the matrices, and of the vectors, which count on rank 0 only, so once over all ranks.
  void SquareGradient(const at::Tensor& sums) const;

 private:
  // Whether matrices are to be gathered and reduced; a unit may have none.
  bool sharded() const { return sharding_.ranks != nullptr && padded_ > 0; }
  void MakePieces();
  // The part of the whole matrices that this rank owns.
  at::Tensor Owned(const at::Tensor& whole) const;
  at::Tensor View(const at::Tensor& flat, const MatrixRange& matrix) const;
  const Segment& FindSegment(const std::string& name) const;

  const device::Device* device_;
  Layout layout_;
  Compute compute_;
  Sharding sharding_;
  Range owned_;         // of the matrices
  int64_t padded_ = 0;  // matrices' elements over all ranks
  struct State {
    at::Tensor master;
    at::Tensor gradient;
    at::Tensor exp_avg;
    at::Tensor exp_avg_sq;
  };
  static State Zeros(at::Tensor master);  // the rest where the master is
  State matrices_;                        // what is owned
  State vectors_;
  std::vector<Piece> pieces_;

  at::Tensor fp32_;  // gathered; with one rank the master
  at::Tensor bf16_;
  at::Tensor gradient_;  // whole; with one rank the one that is owned
  Pending gathering_;
  Pending reducing_;
  bool gathered_ = false;
  bool kept_ = false;  // whole matrices are there for the unit's life
};

// Fills the masters: a pure function of (seed, name, element), so equal wherever a name is shared, and
// whatever the world size.
void Initialize(Unit& unit, const std::vector<ParameterSpec>& parameters, uint64_t seed);

}  // namespace mixln::worker::trainer::fsdp
