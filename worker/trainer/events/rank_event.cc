#include "worker/trainer/events/rank_event.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace mixln::worker::trainer::events {
namespace {

using Json = nlohmann::ordered_json;

// Proto3 JSON has strings for what JSON's numbers cannot say.
Json Double(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

Json Doubles(const std::vector<double>& values) {
  Json array = Json::array();
  for (const double value : values) array.push_back(Double(value));
  return array;
}

// Proto3 JSON puts 64-bit integers in quotes.
template <typename Integer>
Json Integer64(Integer value) {
  return std::to_string(value);
}

struct Payload {
  const char* name;
  Json fields;
};

Payload PayloadOf(const Started& event) {
  return {"started",
          {{"parameters", Integer64(event.parameters)},
           {"resume_step", Integer64(event.resume_step)},
           {"device", event.device},
           {"train_tokens", Integer64(event.train_tokens)},
           {"unigram_perplexity", Double(event.unigram_perplexity)},
           {"flops_per_token", Double(event.flops_per_token)},
           {"peak_flops", Double(event.peak_flops)}}};
}

Payload PayloadOf(const StepDone& event) {
  return {"step_done",
          {{"loss", Double(event.loss)},
           {"lr", Double(event.lr)},
           {"gradient_norm", Double(event.gradient_norm)},
           {"tokens", Integer64(event.tokens)},
           {"tokens_per_second", Double(event.tokens_per_second)},
           {"layer_gradient_norms", Doubles(event.layer_gradient_norms)},
           {"layer_activation_variances", Doubles(event.layer_activation_variances)},
           {"unigram_loss", Double(event.unigram_loss)},
           {"layer_update_ratios", Doubles(event.layer_update_ratios)}}};
}

Payload PayloadOf(const EvalDone& event) {
  return {"eval_done",
          {{"loss", Double(event.loss)},
           {"perplexity", Double(event.perplexity)},
           {"bits_per_byte", Double(event.bits_per_byte)},
           {"tokens", Integer64(event.tokens)}}};
}

Payload PayloadOf(const CheckpointDone& event) {
  return {"checkpoint_done", {{"path", event.path}, {"size_bytes", Integer64(event.size_bytes)}}};
}

Payload PayloadOf(const Finished& event) {
  return {"finished", {{"train_seconds", Double(event.train_seconds)}}};
}

Payload PayloadOf(const Failed& event) {
  return {"failed", {{"cause", event.cause}, {"message", event.message}}};
}

Payload PayloadOf(const CheckpointBad& event) {
  return {"checkpoint_bad", {{"path", event.path}}};
}

}  // namespace

std::string Line(uint64_t sequence, double time_seconds, int64_t step, const RankEvent& event) {
  Payload payload = std::visit([](const auto& e) { return PayloadOf(e); }, event);
  Json line = {
      {"sequence", Integer64(sequence)}, {"time_seconds", Double(time_seconds)}, {"step", Integer64(step)}};
  line[payload.name] = std::move(payload.fields);
  // A message may quote bytes of a file that are no UTF-8.
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

bool MustBeDurable(const RankEvent& event) {
  return std::holds_alternative<CheckpointDone>(event) || std::holds_alternative<Finished>(event) ||
         std::holds_alternative<Failed>(event) || std::holds_alternative<CheckpointBad>(event);
}

}  // namespace mixln::worker::trainer::events
