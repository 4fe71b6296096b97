#pragma once

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
  // A vector (a norm's weight, Admin's omega, a row of DLCL's W) starts filled with it.
  double start_value = 1.0;
};

// A parameter's place in its unit.
struct Segment {
  std::string name;
  std::vector<int64_t> shape;
  int64_t offset = 0;   // in elements: in the unit's matrices, or in its vectors
  int64_t size = 0;     // in elements
  bool decays = false;  // weight decay is for matrices only

  bool is_vector() const { return shape.size() == 1; }
};

// How a unit's parameters lie in memory: matrices in one flat buffer, vectors in another. A segment begins at
// a multiple of 64 bytes unless it is joined to the one before; gaps are zero.
struct Layout {
  std::vector<Segment> segments;
  int64_t matrices = 0;  // elements of the flat buffer
  int64_t vectors = 0;
};

Layout MakeLayout(const std::vector<ParameterSpec>& parameters);

// A range of elements.
struct Range {
  int64_t begin = 0;
  int64_t elements = 0;
};

// The part of `size` elements that `rank` of `world_size` owns: equal parts, each a multiple of 64 bytes, the
// last ones reaching beyond `size`.
Range OwnedBy(int rank, int world_size, int64_t size);

// The elements of `a` that lie in `b` as well, counted from the start of `a`; none: 0 elements.
Range Overlap(const Range& a, const Range& b);

}  // namespace mixln::worker::trainer::fsdp
