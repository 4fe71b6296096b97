#include "worker/trainer/data/unreadable.h"

#include <string>

#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::data {

void ThrowUnreadable(const absl::Status& problem) {
  const std::string message(problem.message());
  if (absl::IsNotFound(problem)) throw error::DataError(message + "; prepare the data again");
  if (absl::IsDataLoss(problem)) throw error::DataError(message);  // which says what to do
  throw error::InputOutputError(message);
}

}  // namespace mixln::worker::trainer::data
