#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

namespace mixln::worker::trainer::fsdp {

// c10d's store of a rendezvous; its headers are kept out of rendezvous.h.
struct Store {
  c10::intrusive_ptr<c10d::Store> c10d;
};

}  // namespace mixln::worker::trainer::fsdp
