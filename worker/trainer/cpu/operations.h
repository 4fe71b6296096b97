// The entries of the CPU's table; device/device.h says what each does.
#pragma once

#include <vector>

#include "worker/trainer/device/device.h"

namespace mixln::worker::trainer::cpu {

device::Factor Prepare(const device::Matrix& right);
void Multiply(const at::Tensor& left, const device::Factor& right, const at::Tensor& result);

void Rotate(const device::Rope& rope, const at::Tensor& rows, int64_t heads, int64_t time, bool back);
void Swiglu(const at::Tensor& gate_up, const at::Tensor& out);
void SwigluBackward(const at::Tensor& gate_up, const at::Tensor& dout);

void Norm(const device::NormForward& norm);
void NormBackward(const device::NormBackward& norm);

void Scale(const at::Tensor& from, double scale, const at::Tensor& to);
void Add(const at::Tensor& x, double a, const at::Tensor& y, double b, const at::Tensor& to);
void ScaleChannels(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& to);
void ScaleChannelsBackward(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& dy,
                           const at::Tensor& dx, const at::Tensor& weight_gradient);
void SumOutputs(const std::vector<at::Tensor>& outputs, const at::Tensor& weight, const at::Tensor& to);
void SumOutputsBackward(const at::Tensor& dx, const std::vector<at::Tensor>& outputs,
                        const at::Tensor& weight, const std::vector<at::Tensor>& doutputs,
                        const at::Tensor& weight_gradient);
device::Sums SumsOf(const at::Tensor& x);
void AddInOrder(const at::Tensor& to, const std::vector<at::Tensor>& parts);

void Embed(const at::Tensor& table, const at::Tensor& tokens, const at::Tensor& out);
void EmbedBackward(const at::Tensor& dx, const at::Tensor& tokens, const at::Tensor& gradient);
void CrossEntropy(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& mask,
                  double gradient_scale, const at::Tensor& losses);

void AdamW(const kernels::AdamWStep& step, const device::AdamWTensors& tensors, const at::Tensor& movement);
void SumOfSquares(const at::Tensor& flat, const at::Tensor& to);

}  // namespace mixln::worker::trainer::cpu
