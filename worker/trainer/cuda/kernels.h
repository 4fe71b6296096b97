#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "worker/trainer/kernels/adamw.h"
#include "worker/trainer/kernels/attention_shape.h"
#include "worker/trainer/kernels/rms_norm.h"
#include "worker/trainer/kernels/rope.h"

// The engine's kernels on a GPU: what worker/trainer/kernels computes, over whole tensors, started on a
// stream and not awaited. Pointers are to the device's memory, also those inside of structs. There are no
// atomics: the same input gives the same bits. `From`, `To` and `T` are float or Bf16. Start throws
// std::runtime_error where the device refuses a launch.
struct CUstream_st;

namespace mixln::worker::trainer::cuda {

using kernels::Bf16;
using Stream = CUstream_st*;  // a cudaStream_t; null is the default stream

// Whether this machine has a GPU that these kernels run on.
bool HasDevice();
// Memory that the host and the device both see; throws std::runtime_error if there is none left.
void* AllocateShared(size_t bytes);
void FreeShared(void* memory);
// Waits for all that was started; throws std::runtime_error with the device's error.
void Synchronize();

// As kernels::NormRows of all rows.
template <typename Branch, typename Y>
void Norm(Stream stream, const kernels::RmsNormForward& norm, const Branch* branch, Y* y, int64_t rows);

// As kernels::NormRowsBackward of all rows. `partial` is scratch of NormScratch(norm) floats.
template <typename Dy>
void NormBackward(Stream stream, const kernels::RmsNormBackward& norm, const Dy* dy, float* weight_gradient,
                  float* partial, int64_t rows);
int64_t NormScratch(const kernels::RmsNormBackward& norm);

// As kernels::RotateRows of all rows.
template <typename T>
void Rotate(Stream stream, const kernels::Rope& rope, T* rows, int64_t stride, int64_t heads, int64_t time,
            bool inverse, int64_t count);

// As kernels::SwigluRows and SwigluRowsBackward of all rows.
template <typename T>
void Swiglu(Stream stream, const T* gate_up, T* out, int64_t columns, int64_t rows);
template <typename T>
void SwigluBackward(Stream stream, T* gate_up, const T* dout, int64_t columns, int64_t rows);

// Causal softmax attention, computed in fp32. `lse` is fp32 [batch, heads, time]: the log-sum-exp of a
// query's scaled scores.
using kernels::AttentionShape;
// Heads of at most kLargestHead elements; throws std::runtime_error where they are larger.
inline constexpr int64_t kLargestHead = 128;
template <typename T>
void Attention(Stream stream, const AttentionShape& shape, const T* qkv, T* out, float* lse);
// `delta` is scratch of lse's shape.
template <typename T>
void AttentionBackward(Stream stream, const AttentionShape& shape, const T* qkv, const T* out,
                       const float* lse, const T* dout, float* delta, T* dqkv);

// As kernels::CrossEntropyRows of all rows.
template <typename T>
void CrossEntropy(Stream stream, T* logits, const int64_t* targets, const uint8_t* mask, float gradient_scale,
                  double* loss, int64_t columns, int64_t rows);

// As kernels::AdamWUpdate.
void AdamW(Stream stream, const kernels::AdamWStep& step, float* weight, float* gradient, float* exp_avg,
           float* exp_avg_sq, Bf16* compute, int64_t count);

// *sum = Σ x², over fixed blocks. `partial` is scratch of SumScratch(count) doubles.
void SumOfSquares(Stream stream, const float* x, int64_t count, double* partial, double* sum);
int64_t SumScratch(int64_t count);

// to = weight∘x over rows of `columns`; dx = weight∘dy, and adds the weight's gradient. `partial` is scratch
// of ChannelScratch(columns) floats.
void ScaleChannels(Stream stream, const float* x, const float* weight, float* to, int64_t columns,
                   int64_t rows);
void ScaleChannelsBackward(Stream stream, const float* x, const float* weight, const float* dy, float* dx,
                           float* weight_gradient, float* partial, int64_t columns, int64_t rows);
int64_t ChannelScratch(int64_t columns);

// to = *weight·from, or to += *weight·from.
void AddWeighted(Stream stream, const float* from, const float* weight, bool add, float* to, int64_t count);
// *sum += Σ x∘y, over fixed blocks. `partial` is scratch of SumScratch(count) doubles.
void AddDot(Stream stream, const float* x, const float* y, int64_t count, double* partial, float* sum);

// to = scale·from, and to = a·x + b·y, where `to` may be `x`.
template <typename From, typename To>
void ScaleTo(Stream stream, const From* from, float scale, To* to, int64_t count);
template <typename Y>
void AddTo(Stream stream, const float* x, float a, const Y* y, float b, float* to, int64_t count);

// out[i] = weight[tokens[i]], of rows of `columns` elements.
template <typename From, typename To>
void Embedding(Stream stream, const From* weight, const int64_t* tokens, To* out, int64_t columns,
               int64_t rows);

// The positions of a batch by token: those of tokens[g] are positions[begins[g]] … positions[begins[g + 1] -
// 1].
struct TokenGroups {
  std::vector<int64_t> tokens;
  std::vector<int64_t> begins;
  std::vector<int64_t> positions;
};
TokenGroups GroupTokens(std::span<const int64_t> tokens);

// Adds dout's rows to their token's row of `gradient`, in the order of their positions. The pointers are to
// copies of a TokenGroups' vectors.
void EmbeddingBackward(Stream stream, const float* dout, const int64_t* tokens, const int64_t* begins,
                       const int64_t* positions, int64_t groups, float* gradient, int64_t columns);

}  // namespace mixln::worker::trainer::cuda
