// The fail-points of all programs. What they are for is said in docs/testing.md; lint.failpoints compares
// both lists with the sources.
#pragma once

#include <string_view>

namespace mixln::base::failpoint {

inline constexpr std::string_view kPoints[] = {
    "coordinator.commit",
    "coordinator.committed",
    "coordinator.copy",
    "coordinator.curves commit",
    "coordinator.curves committed",
    "coordinator.events",
    "coordinator.rank events",
    "coordinator.rank events accepted",
    "coordinator.rename copy",
    "coordinator.send",
    "coordinator.start",
    "coordinator.submitted",
    "file.make",
    "file.make folder",
    "file.open folder",
    "file.rename",
    "file.sync",
    "file.write",
    "fsdp.share memory",
    "shim.ended",
    "shim.forked",
    "shim.started",
    "trainer.evaluation_batch",
    "trainer.micro_batch",
    "worker.adopt",
    "worker.adopted",
    "worker.delete",
    "worker.forget",
    "worker.prepare",
    "worker.prepared",
    "worker.rank ended",
    "worker.receive",
    "worker.send",
    "worker.spawn",
    "worker.spawned",
    "worker.stop",
};

}  // namespace mixln::base::failpoint
